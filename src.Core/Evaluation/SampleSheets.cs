using DQ.Core.Artifacts;
using DQ.Core.Images;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>Pictures of the same images, reconstructed from several parts of their codes.</summary>
/// <param name="Views">The originals first.</param>
/// <param name="Pictures">For each view, a picture per image.</param>
/// <param name="Codes">Code indices of all images per level, bottom first: int (N, M, H, W).</param>
public sealed record SampleSheets(IReadOnlyList<SampleView> Views, IReadOnlyList<PixelImage[]> Pictures, IReadOnlyList<Array> Codes)
{
    /// <summary>Number of images in a row of a sheet.</summary>
    public const int Columns = 8;

    /// <summary>Reconstructs images from all codes and from each of <paramref name="parts"/>.</summary>
    /// <param name="decoder">A decoder, with code frequencies if codebooks are left out.</param>
    /// <param name="parts">Parts of the codes, besides all codes.</param>
    /// <param name="pixels">uint8 (B, C, H, W).</param>
    public static SampleSheets Draw(PartialDecoder decoder, IReadOnlyList<CodePart> parts, Tensor pixels)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var onDevice = decoder.ToDevice(pixels);
        var codes = decoder.Encode(onDevice);
        var views = new List<SampleView>
        {
            new()
            {
                Name = SampleView.OriginalKind,
                Kind = SampleView.OriginalKind,
                Levels = [],
            },
        };
        var pictures = new List<PixelImage[]> { PixelImage.FromTensor(pixels) };
        foreach (var part in parts.Prepend(CodePart.Full(decoder.Spec)))
        {
            using var inner = NewDisposeScope();
            var decoded = decoder.Decode(part, codes, onDevice);
            pictures.Add(PixelImage.FromTensor(Reconstructions.Rounded(decoded.Mean)));
            views.Add(
                new()
                {
                    Name = part.Name,
                    Kind = part.Kind,
                    Levels = part.Levels,
                    Without = part.Without,
                    PsnrDb = decoded.PsnrDb,
                    ReconstructionNatsPerDim = decoded.NatsPerDim,
                }
            );
        }
        return new(views, pictures, [.. codes.Select(level => level.to_type(ScalarType.Int32).cpu().data<int>().ToNDArray())]);
    }

    /// <summary>The sheet of a view, see <see cref="SamplesRecord"/>.</summary>
    public PixelImage Sheet(int view) => ImageGrid.Tile(Pictures[view], Columns, padding: 0);

    /// <summary>The first <paramref name="images"/> images, enlarged: a column per image, and a row per view that is not an
    /// ablation.</summary>
    /// <param name="images">At least one.</param>
    /// <param name="zoom">Factor by which width and height are enlarged.</param>
    public PixelImage Grid(int images, int zoom)
    {
        var rows = Views.Zip(Pictures).Where(view => view.First.Kind != SampleView.AblationKind).Select(view => view.Second);
        return ImageGrid.Tile([.. rows.SelectMany(row => row.Take(images))], images, zoom: zoom);
    }
}

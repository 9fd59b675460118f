using DQ.Core.Autoencoders;
using DQ.Core.Evaluation;
using DQ.Core.Images;
using static TorchSharp.torch;

namespace DQ.Core.Priors;

/// <summary>Pictures from a prior: codes are drawn from it, the top level first, and decoded by their model.</summary>
public static class PriorSamples
{
    private const int PicturesAtOnce = 16;

    /// <param name="model">The model of the codes, in evaluation mode.</param>
    /// <param name="codes">As from <see cref="PriorCoder.Sample"/>.</param>
    /// <param name="height">Rows of the pictures.</param>
    /// <param name="width">Columns.</param>
    /// <param name="pixelSeed">Seed with which pixels are drawn from the likelihood; null for the expected pixels.</param>
    /// <param name="cancellation">Ends the work early.</param>
    public static IReadOnlyList<PixelImage> Draw(
        HierarchicalAutoencoder model,
        int[][][] codes,
        int height,
        int width,
        long? pixelSeed,
        CancellationToken cancellation = default
    )
    {
        var pictures = new List<PixelImage>();
        var device = model.parameters().First().device;
        foreach (var (part, images) in codes.Chunk(PicturesAtOnce).Index())
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            var levels = model
                .Spec.Grids(height, width)
                .Select(
                    (grid, level) =>
                        tensor([.. images.SelectMany(image => image[level])], ScalarType.Int64)
                            .view(images.Length, grid.Codebooks, grid.Height, grid.Width)
                            .to(device)
                );
            var output = model.Decode([.. levels], height, width);
            var pixels = pixelSeed is { } seed
                ? model.Likelihood.Sample(output, SplitMix64.Derive(seed, part))
                : Reconstructions.Rounded(model.Likelihood.Mean(output));
            pictures.AddRange(PixelImage.FromTensor(pixels));
        }
        return pictures;
    }
}

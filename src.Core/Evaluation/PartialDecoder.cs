using DQ.Core.Artifacts;
using DQ.Core.Autoencoders;
using DQ.Core.Images;
using DQ.Core.Quantization;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>A batch decoded from a part of its codes.</summary>
/// <param name="Mean">The expected pixels, float32 (B, C, H, W) in [0, 255]; the caller disposes them.</param>
/// <param name="NatsPerDim">−log p(x | the decoder's input) per image; null for squared error.</param>
/// <param name="PsnrDb">PSNR of the mean image in decibel, per image.</param>
/// <param name="SquaredErrors">Squared error of the mean image per image, for pixels scaled to [0, 1].</param>
public sealed record PartialBatch(Tensor Mean, double[]? NatsPerDim, double[] PsnrDb, double[] SquaredErrors);

/// <summary>Decodes parts of the codes: some levels, or all codebooks except one.</summary>
/// <remarks>
/// In every quantizer the codebooks' outputs are added or concatenated, separately at each position. With f_m(k) the contribution of
/// code k of codebook m, the map with f_m replaced by its mean Σ_k p_k f_m(k) is therefore the map with every code of m replaced by code 0,
/// plus one vector, Σ_k p_k f_m(k) − f_m(0), at every position.
/// Axis legend: B batch, M codebooks, K codes, O output channels of a quantizer, H W height and width.
/// </remarks>
public sealed class PartialDecoder : IDisposable
{
    private readonly HierarchicalAutoencoder model;
    private readonly IReadOnlyList<CodeHistogram>? frequencies;
    private readonly Dictionary<CodebookPlace, Tensor> shifts = [];

    /// <param name="model">The model, which is set to evaluation mode.</param>
    /// <param name="frequencies">Counts of each code by level, over which a codebook's mean output is computed. Null if no codebook is left
    /// out.</param>
    public PartialDecoder(HierarchicalAutoencoder model, IReadOnlyList<CodeHistogram>? frequencies = null)
    {
        (this.model, this.frequencies) = (model, frequencies);
        model.eval();
    }

    public AutoencoderSpec Spec => model.Spec;

    /// <summary>A batch on the model's device.</summary>
    public Tensor ToDevice(Tensor batch) => batch.to(model.parameters().First().device);

    /// <summary>Code indices per level (B, M, H_l, W_l) int64 for uint8 pixels (B, C, H, W), bottom first.</summary>
    public IReadOnlyList<Tensor> Encode(Tensor pixels) => model.Encode(pixels);

    /// <summary>Decodes a part of the codes of a batch and compares it with the batch.</summary>
    /// <param name="part">The part of the codes to decode.</param>
    /// <param name="codes">Indices as <see cref="Encode"/> returns them.</param>
    /// <param name="pixels">The batch, on the model's device.</param>
    public PartialBatch Decode(CodePart part, IReadOnlyList<Tensor> codes, Tensor pixels)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var output = model.DecodeMaps(Maps(codes, part.Without), pixels.shape[2], pixels.shape[3], part.Levels.ToHashSet());
        var mean = model.Likelihood.Mean(output);
        var original = pixels.to_type(ScalarType.Float32);
        return new(
            mean.MoveToOuterDisposeScope(),
            model.Likelihood.IsDensity ? Numbers(model.Likelihood.Loss(output, pixels)) : null,
            Numbers(ImageQuality.Psnr(mean, original)),
            Numbers((mean - original).Squared().mean([1, 2, 3]) / Kept(255.0 * 255.0))
        );
    }

    /// <summary>The quantized maps of codes, by level, without one codebook or with all.</summary>
    internal Tensor[] Maps(IReadOnlyList<Tensor> codes, CodebookPlace? without) =>
        [.. codes.Select((code, level) => Map(level, code, without))];

    public void Dispose()
    {
        foreach (var shift in shifts.Values)
            shift.Dispose();
    }

    private Tensor Map(int level, Tensor codes, CodebookPlace? without)
    {
        var quantizer = model.Quantizers[level];
        if (without is null || without.Level != level)
            return quantizer.Embed(codes);
        var constant = codes.clone();
        constant.select(1, without.Codebook).zero_();
        return quantizer.Embed(constant).Plus(Shift(without));
    }

    /// Σ_k p_k f_m(k) − f_m(0), (1, O, 1, 1).
    private Tensor Shift(CodebookPlace place)
    {
        if (shifts.TryGetValue(place, out var known))
            return known;
        var counts = frequencies?[place.Level].Counts(place.Codebook) ?? throw new InvalidOperationException("frequencies were not given");
        var quantizer = model.Quantizers[place.Level];
        var device = model.parameters().First().device;
        var shift = zeros(1, quantizer.OutputChannels, 1, 1, device: device);
        double total = counts.Sum();
        // in parts, so that 65,536 codes need no table of all their outputs
        const int piece = 4096;
        for (var start = 0; start < counts.Count; start += piece)
        {
            using var scope = NewDisposeScope();
            var length = Math.Min(piece, counts.Count - start);
            var codes = zeros([length, quantizer.Codebooks, 1, 1], ScalarType.Int64, device); // a batch of all codes of the codebook
            codes.select(1, place.Codebook).copy_(arange(Kept(start), Kept(start + length), One, ScalarType.Int64, device).view(-1, 1, 1));
            var shares = tensor([.. counts.Skip(start).Take(length).Select(count => (float)(count / total))], device: device);
            shift.add_((quantizer.Embed(codes) * shares.view(-1, 1, 1, 1)).sum(0, keepdim: true), One);
        }
        using var inner = NewDisposeScope();
        shift.sub_(quantizer.Embed(zeros([1, quantizer.Codebooks, 1, 1], ScalarType.Int64, device)));
        return shifts[place] = shift.DetachFromDisposeScope();
    }

    private static double[] Numbers(Tensor perImage) => [.. perImage.to_type(ScalarType.Float64).cpu().data<double>()];
}

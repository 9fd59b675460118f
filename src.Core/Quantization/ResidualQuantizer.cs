using DQ.Core.Parallel;
using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// Residual (additive) quantization: M stages, each of which quantizes the residual of the stage before. The output is the sum of the
/// stages' codes. (B, D, H, W) to (B, D, H, W), with M codes per position.
/// </summary>
/// <remarks>
/// Source: Zeghidour et al. 2021, <i>SoundStream</i>, section III-C, algorithm 1 (after Juang &amp; Gray 1982); Lee et al. 2022,
/// <i>Autoregressive Image Generation using Residual Quantization</i>, section 3.1. The codes learn by moving average. The latent loss is
/// the sum over stages of the mean squared distance between a stage's input and its code, as for all quantizers here. This equals the
/// distance between the partial sum and the map. The gradient is estimated once, from the map to the sum of all stages: the
/// straight-through gradient arrives once, and the rotation turns the map into the sum. vector-quantize-pytorch's ResidualVQ estimates it
/// at every stage, from the stage's input to its code, and adds these gradients (docs/quantizers.md).
/// </remarks>
public sealed class ResidualQuantizer(QuantizerSpec spec, int codebooks, int codeCount, int width)
    : MovingAverageQuantizer(nameof(ResidualQuantizer), spec, codebooks, codeCount, width)
{
    /// <summary>The name of this kind in configurations.</summary>
    public const string Kind = "residual";

    public override int OutputChannels => Width;

    protected override int Slices => 1;

    protected override Quantized QuantizeMap(Tensor map, TrainingMoment moment)
    {
        var (batch, height, width) = (map.shape[0], map.shape[2], map.shape[3]);
        var input = Projected(map); // (B, 1, D, H, W)
        var (chosen, seen) = Choose(Vectors(input));
        if (training)
            Usage.Add(seen, chosen, Codebook, moment.Sharing?.Rows(height * width, seen.shape[1]));
        var sums = CodeMaps.Vectors(CodeMaps.Lookup(Codebook, chosen), batch, height, width).cumsum(1); // sums of the first m stages, (B, M, D, H, W)
        var squares = (sums - input).Squared(); // (B, M, D, H, W)
        var errors = squares.mean([0, 2, 3, 4]); // (M)
        return new(
            Gradient.Apply(input, sums.narrow(1, Codebooks - 1, 1)).reshape(batch, Width, height, width),
            CodeMaps.Indices(chosen, batch, height, width),
            errors.sum(),
            errors.detach(),
            Distances: Distances(squares)
        );
    }

    protected override Tensor EmbedCodes(Tensor codes)
    {
        var (batch, height, width) = (codes.shape[0], codes.shape[2], codes.shape[3]);
        var sums = CodeMaps.Vectors(CodeMaps.Lookup(Codebook, CodeMaps.Rows(codes)), batch, height, width).cumsum(1);
        return sums.narrow(1, Codebooks - 1, 1).reshape(batch, Width, height, width);
    }

    protected override (Tensor Centres, Tensor Members) FirstCodes(Tensor vectors, long seed, SharedRows? rows)
    {
        var stages = new List<(Tensor Centres, Tensor Members)>();
        var rest = vectors; // (1, N, D)
        for (var stage = 0; stage < Codebooks; stage++)
        {
            var (centres, members) = KMeans.Fit(rest, 1, CodeCount, seed + stage, new EuclideanMetric(), rows);
            stages.Add((centres, members));
            rest = Rest(rest, NearestCodes.Find(rest, centres), centres);
        }
        return (cat([.. stages.Select(stage => stage.Centres)]), cat([.. stages.Select(stage => stage.Members)]));
    }

    /// Indices (M, N) for vectors (1, N, D), and the input of each stage (M, N, D).
    private (Tensor Chosen, Tensor Seen) Choose(Tensor vectors)
    {
        var seen = new Tensor[Codebooks];
        var chosen = new Tensor[Codebooks];
        var rest = vectors;
        for (var stage = 0; stage < Codebooks; stage++)
        {
            var codes = Codebook.narrow(0, stage, 1); // (1, K, D)
            seen[stage] = rest;
            chosen[stage] = NearestCodes.Find(rest, codes);
            rest = Rest(rest, chosen[stage], codes);
        }
        return (cat(chosen), cat(seen));
    }

    /// The residual of vectors (1, N, D) after the codes (1, K, D) with indices (1, N).
    private static Tensor Rest(Tensor vectors, Tensor chosen, Tensor codes) => vectors - codes[0].index_select(0, chosen[0]).unsqueeze(0);
}

using System.Numerics;
using DQ.Core.Parallel;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// Lookup-free quantization: a code is the signs of d channels, K = 2^d, so there is no codebook to look up. M groups of d channels:
/// (B, M·d, H, W) to (B, M·d, H, W), values −1 and 1.
/// </summary>
/// <remarks>
/// Source: Yu et al. 2023, <i>Language Model Beats Diffusion: Tokenizer is Key to Visual Generation</i> (MAGVIT-v2), section 3.1: sign
/// (equation 3), index (equation 4), entropy loss E[H(q(z))] − H(E[q(z)]) (equation 5), which makes each choice certain and keeps all codes
/// in use. q(z) is the softmax over all codes c of −|z − c|². The codes are all corners of a cube, so q(z) is a product over bits of
/// σ(4z_i). This makes the first term a sum over bits, and the second term exact at the cost of one matrix product of two half codes. The
/// first channel is the lowest bit of an index, as in equation 4. In vector-quantize-pytorch's LFQ it is the highest, so that its indices
/// are ours with the d bits reversed (docs/quantizers.md).
/// Deviation: the softmax has temperature 1, at which inputs of unit variance give
/// neither certain nor uniform choices.
/// Axis legend: B batch, M groups, d bits, K = 2^d codes, N = B·H·W.
/// </remarks>
public sealed class LookupFreeQuantizer : Quantizer
{
    /// <summary>The name of this kind in configurations.</summary>
    public const string Kind = "lookup_free";

    private readonly StraightThrough gradient = new();
    private readonly QuantizerSpec spec;
    private readonly int bits;

    public LookupFreeQuantizer(QuantizerSpec spec, int codebooks, int codeCount)
        : base(nameof(LookupFreeQuantizer))
    {
        if (CodesProblem(codeCount) is { } problem)
            throw new ArgumentException(problem, nameof(codeCount));
        this.spec = spec;
        (Codebooks, CodeCount) = (codebooks, codeCount);
        bits = BitOperations.Log2((uint)codeCount);
        RegisterComponents();
    }

    /// <summary>The reason why a level can't have this K, or null.</summary>
    internal static string? CodesProblem(int codes) =>
        codes >= 2 && BitOperations.IsPow2(codes) ? null : $"expected a power of two for {Kind}, got {codes}";

    public override int Codebooks { get; }

    public override int CodeCount { get; }

    public override int InputChannels => Codebooks * bits;

    public override int OutputChannels => InputChannels;

    protected override Quantized QuantizeMap(Tensor map, TrainingMoment moment)
    {
        var input = map.view(map.shape[0], Codebooks, bits, map.shape[2], map.shape[3]);
        var positive = input.detach() > Kept(0); // (B, M, d, H, W)
        var signs = positive.to_type(ScalarType.Float32) * Kept(2) - Kept(1);
        var squares = (signs - input).Squared(); // (B, M, d, H, W)
        var errors = squares.mean([0, 2, 3, 4]); // (M)
        return new(
            gradient.Apply(input, signs).reshape(map.shape),
            (positive.to_type(ScalarType.Int64) * Places(map.device)).sum(2),
            errors.sum(),
            errors.detach(),
            Kept(spec.EntropyWeight) * Entropies(input, moment.Sharing),
            Distances(squares)
        );
    }

    protected override Tensor EmbedCodes(Tensor codes)
    {
        var digits = codes.unsqueeze(2).floor_divide(Places(codes.device)).remainder(Kept(2)).to_type(ScalarType.Float32); // (B, M, d, H, W)
        return (digits * Kept(2) - Kept(1)).reshape(codes.shape[0], OutputChannels, codes.shape[2], codes.shape[3]);
    }

    /// E[H(q)] − H(E[q]) in nats, summed over groups.
    private Tensor Entropies(Tensor input, Sharing? sharing)
    {
        // p(bit = 1) = σ(x), x = |z + 1|² − |z − 1|² = 4z
        var logits = Kept(4) * input.permute(1, 0, 3, 4, 2).reshape(Codebooks, -1, bits); // (M, N, d)
        var share = logits.sigmoid();
        // H(σ(x)) = softplus(x) − x·σ(x), without logarithms of zero
        var each = (logits.Softplus() - logits * share).sum(2).mean([1]); // (M)
        var low = Corners(share.narrow(2, 0, bits / 2));
        var high = Corners(share.narrow(2, bits / 2, bits - bits / 2));
        var mean = bmm(high.transpose(1, 2), low) / Kept(logits.shape[1]); // E[q], (M, 2^⌈d/2⌉, 2^⌊d/2⌋)
        if (sharing is not null)
            mean = OfAll(mean, sharing);
        var all = -(mean * mean.clamp_min(Kept(1e-20)).log()).sum([1, 2]); // (M)
        return (each - all).sum();
    }

    /// The mean over all ranks' positions. It differs by what each rank adds in value only: the gradient is that of this rank's own
    /// mean, which its share of the step's gradient weights as the rest.
    private static Tensor OfAll(Tensor mean, Sharing sharing)
    {
        var sum = mean.detach() * Kept(sharing.Weight);
        sharing.Ranks.Sum(sum);
        return sum.Plus(mean - mean.detach());
    }

    /// Probabilities of all combinations of some bits, (M, N, b) to (M, N, 2^b).
    private static Tensor Corners(Tensor share)
    {
        var corners = ones(share.shape[0], share.shape[1], 1, device: share.device);
        foreach (var one in share.unbind(2))
            corners = cat([corners * one.negative().Plus(Kept(1)).unsqueeze(2), corners * one.unsqueeze(2)], 2);
        return corners;
    }

    /// Place value of each bit, (d, 1, 1) int64.
    private Tensor Places(Device device) => tensor([.. Enumerable.Range(0, bits).Select(bit => 1L << bit)], device: device).view(-1, 1, 1);
}

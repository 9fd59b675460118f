using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>For every vector the nearest code of its codebook, all codebooks in one batched computation.</summary>
/// <remarks>
/// |u − c|² = |u|² − 2u·c + |c|² as one matrix product. Far from zero the terms are much larger than their sum and float32 loses what
/// tells codes apart, so both sides are first moved by their codebook's mean, which changes no distance. A codebook whose mean is within 64
/// of its deviations of zero is left where it is: rounding there decides near-ties only, and as in the published implementation. A codebook
/// whose codes lie much farther from each other than the vectors from their codes (codes never chosen, without revival) keeps the loss.
/// </remarks>
public static class NearestCodes
{
    /// Distances held at once, so that K = 65,536 needs no more than some tens of megabytes; in cache for small K.
    private const long ChunkElements = 1 << 20;
    private const long LeastRows = 64;

    /// In deviations. The terms are then up to 4,096 times the variance, of which float32's 24 bits leave 12.
    private const double Near = 64;

    /// <param name="vectors">(M, N, D), or (1, N, D) when all codebooks see the same vectors; float32.</param>
    /// <param name="codes">(M, K, D).</param>
    /// <returns>(M, N) int64 in [0, K); the first of equally near codes.</returns>
    public static Tensor Find(Tensor vectors, Tensor codes)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (books, count) = (codes.shape[0], codes.shape[1]);
        var rows = vectors.shape[1];
        var origin = Origin(codes);
        var centred = codes - origin;
        // the first term of three, |u|², does not change which code is nearest
        var lengths = centred.Squared().sum(2).unsqueeze(1); // (M, 1, K)
        var transposed = centred.transpose(1, 2) * Kept(-2); // (M, D, K)
        var chosen = empty(books, rows, dtype: ScalarType.Int64, device: codes.device);
        var chunk = Math.Max(LeastRows, ChunkElements / (books * count));
        for (var start = 0L; start < rows; start += chunk)
        {
            using var inner = NewDisposeScope();
            var length = Math.Min(chunk, rows - start);
            var part = vectors.narrow(1, start, length) - origin; // (M, n, D)
            var distances = bmm(part, transposed).add_(lengths, One); // (M, n, K)
            if (distances.device_type == TorchSharp.DeviceType.CPU)
                RowMinimum.Find(distances, chosen, start);
            else
                chosen.narrow(1, start, length).copy_(distances.argmin(2));
        }
        return chosen.MoveToOuterDisposeScope();
    }

    /// The mean of each codebook (M, 1, D), or zero where it is near.
    private static Tensor Origin(Tensor codes)
    {
        var mean = codes.mean([1], keepdim: true);
        var variance = (codes - mean).Squared().sum(2, keepdim: true).mean([1], keepdim: true); // (M, 1, 1)
        return where(mean.Squared().sum(2, keepdim: true) > variance * Kept(Near * Near), mean, zeros_like(mean));
    }
}

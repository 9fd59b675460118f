using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>Finds the nearest code for every vector, with one batched computation for all codebooks.</summary>
/// <remarks>
/// |u − c|² = |u|² − 2u·c + |c|² as one matrix product. Far from zero the terms are much larger than their sum, and float32 loses the
/// differences between codes. So the codebook's mean is first subtracted from vectors and codes, which changes no distance. If a codebook's
/// mean is within 64 of its standard deviations of zero, nothing is subtracted: there rounding decides only near-ties, in the same way as
/// in the published implementation. Precision is still lost in a codebook whose codes are much farther from each other than the vectors are
/// from their codes (codes never chosen, without revival).
/// </remarks>
public static class NearestCodes
{
    /// Number of distances in memory at once, so that K = 65,536 needs no more than some tens of megabytes. For small K they fit into the
    /// cache.
    private const long ChunkElements = 1 << 20;
    private const long LeastRows = 64;

    /// A GPU has no cache of that kind, and every chunk costs launches
    private const long ChunkElementsOnDevice = 1 << 26;

    /// Bound in standard deviations. The terms are then up to 4,096 times the variance, which leaves 12 of float32's 24 bits.
    private const double Near = 64;

    /// <param name="vectors">(M, N, D), or (1, N, D) if all codebooks share the vectors; float32.</param>
    /// <param name="codes">(M, K, D).</param>
    /// <returns>Indices (M, N) int64 in [0, K); the first of equally near codes.</returns>
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
        var chunk = Math.Max(
            LeastRows,
            (vectors.device_type == TorchSharp.DeviceType.CPU ? ChunkElements : ChunkElementsOnDevice) / (books * count)
        );
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

    /// The mean of each codebook (M, 1, D), or zero if the mean is near zero.
    private static Tensor Origin(Tensor codes)
    {
        var mean = codes.mean([1], keepdim: true);
        var variance = (codes - mean).Squared().sum(2, keepdim: true).mean([1], keepdim: true); // (M, 1, 1)
        return where(mean.Squared().sum(2, keepdim: true) > variance * Kept(Near * Near), mean, zeros_like(mean));
    }
}

using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>For every vector the nearest code of its codebook, all codebooks in one batched computation.</summary>
public static class NearestCodes
{
    /// Distances held at once, so that K = 65,536 needs no more than some tens of megabytes; in cache for small K.
    private const long ChunkElements = 1 << 20;
    private const long LeastRows = 64;

    /// <param name="vectors">(M, N, D), or (1, N, D) when all codebooks see the same vectors; float32.</param>
    /// <param name="codes">(M, K, D).</param>
    /// <returns>(M, N) int64 in [0, K); the first of equally near codes.</returns>
    public static Tensor Find(Tensor vectors, Tensor codes)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (books, count, width) = (codes.shape[0], codes.shape[1], codes.shape[2]);
        var rows = vectors.shape[1];
        // |u − c|² = |u|² − 2u·c + |c|²; the first term does not change which code is nearest
        var lengths = codes.square().sum(2).unsqueeze(1); // (M, 1, K)
        var transposed = codes.transpose(1, 2) * Kept(-2); // (M, D, K)
        var chosen = empty(books, rows, dtype: ScalarType.Int64, device: codes.device);
        var chunk = Math.Max(LeastRows, ChunkElements / (books * count));
        for (var start = 0L; start < rows; start += chunk)
        {
            using var inner = NewDisposeScope();
            var length = Math.Min(chunk, rows - start);
            var part = vectors.narrow(1, start, length).expand(books, length, width);
            var distances = bmm(part, transposed).add_(lengths); // (M, n, K)
            if (distances.device_type == TorchSharp.DeviceType.CPU)
                RowMinimum.Find(distances, chosen, start);
            else
                chosen.narrow(1, start, length).copy_(distances.argmin(2));
        }
        return chosen.MoveToOuterDisposeScope();
    }
}

using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>Converts between rows of N = B·H·W positions per codebook and maps (B, …, H, W).</summary>
internal static class CodeMaps
{
    /// <summary>Indices (B, M, H, W) to (M, N).</summary>
    public static Tensor Rows(Tensor codes) => codes.permute(1, 0, 2, 3).reshape(codes.shape[1], -1);

    /// <summary>Indices (M, N) to (B, M, H, W).</summary>
    public static Tensor Indices(Tensor chosen, long batch, long height, long width) =>
        chosen.view(chosen.shape[0], batch, height, width).permute(1, 0, 2, 3).contiguous();

    /// <summary>Vectors (M, N, D) to (B, M, D, H, W).</summary>
    public static Tensor Vectors(Tensor rows, long batch, long height, long width) =>
        rows.view(rows.shape[0], batch, height, width, rows.shape[2]).permute(1, 0, 4, 2, 3).contiguous();

    /// <summary>Looks up indices (M, N) in codebooks (M, K, D): vectors (M, N, D).</summary>
    public static Tensor Lookup(Tensor codebooks, Tensor chosen)
    {
        var (books, codeCount, width) = (codebooks.shape[0], codebooks.shape[1], codebooks.shape[2]);
        var offsets = IntegersBelow(books, device: chosen.device).unsqueeze(1) * Kept(codeCount);
        return codebooks.view(-1, width).index_select(0, chosen.Plus(offsets).reshape(-1)).view(books, -1, width);
    }
}

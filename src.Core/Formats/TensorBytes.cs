using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>Makes tensors from the little-endian bytes of their elements in row-major order.</summary>
internal static class TensorBytes
{
    public const int CopyBytes = 1 << 20;

    /// <summary>A fresh CPU tensor, owned by the caller.</summary>
    public static Tensor Read(Stream bytes, ScalarType type, long[] shape)
    {
        // any nonzero byte counts as true; libtorch computes wrong results with a bool that is not 0 or 1
        var stored = type == ScalarType.Bool ? ScalarType.Byte : type;
        var tensor = empty(shape, dtype: stored, device: CPU);
        try
        {
            tensor.ReadBytesFromStream(bytes, CopyBytes);
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
        if (stored == type)
            return tensor;
        using (tensor)
            return tensor.to_type(type);
    }
}

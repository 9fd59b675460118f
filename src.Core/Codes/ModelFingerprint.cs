using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using DQ.Core.Autoencoders;
using static TorchSharp.torch;

namespace DQ.Core.Codes;

/// <summary>
/// Identifies a model by its tensors, because other weights decode the same codes to another image, even with the same spec.
/// </summary>
public static class ModelFingerprint
{
    /// <summary>
    /// SHA-256, 64 hexadecimal digits, over the state dict by ascending name: name (UTF-8) and a zero byte, number of dimensions and
    /// dimensions (int64, little-endian), values (float32, little-endian).
    /// </summary>
    public static string Of(HierarchicalAutoencoder model)
    {
        using var scope = NewDisposeScope();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> bytes = stackalloc byte[8];
        foreach (var (name, tensor) in model.state_dict().OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(name + '\0'));
            long[] numbers = [tensor.dim(), .. tensor.shape];
            foreach (var number in numbers)
            {
                BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
                hash.AppendData(bytes);
            }
            using var values = tensor.detach().to_type(ScalarType.Float32).cpu().contiguous();
            hash.AppendData(values.bytes);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

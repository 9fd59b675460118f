using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using DQ.Core.Coding;

namespace DQ.Core.Priors;

/// <summary>Embeddings of one level's codes in integers.</summary>
/// <param name="Tables">(K + 1, E) per codebook; the last row is that of places outside of the grid.</param>
/// <param name="Limit">No sum of one row from each table is larger.</param>
internal sealed record FrozenEmbeddings(IReadOnlyList<short[]> Tables, int Limit);

/// <summary>A level of a <see cref="FrozenPrior"/>; names as in <see cref="PriorLevelNetwork"/>.</summary>
internal sealed record FrozenPriorLevel(
    FrozenEmbeddings Own,
    IReadOnlyList<FrozenEmbeddings> Above,
    short[]? Phase,
    FrozenLayer Enter,
    FrozenLayer Hidden,
    IReadOnlyList<FrozenLayer> Join,
    IReadOnlyList<FrozenLayer> Leave
);

/// <summary>
/// A prior in integers: from codes to frequencies every number is an integer, so that it is the same on every processor, with any number
/// of threads, whatever the order of its sums. <see cref="PriorFreezer"/> makes it of a trained prior.
/// </summary>
public sealed class FrozenPrior
{
    /// <summary>Bits behind the point of hidden activations.</summary>
    internal const int ActivationBits = 8;

    /// <summary>The largest hidden activation, just below 16: larger ones are cut.</summary>
    internal const int LargestActivation = (1 << 12) - 1;

    private string? fingerprint;

    internal FrozenPrior(PriorSpec spec, IReadOnlyList<FrozenPriorLevel> levels) => (Spec, Levels) = (spec, levels);

    public PriorSpec Spec { get; }

    internal IReadOnlyList<FrozenPriorLevel> Levels { get; }

    /// <summary>SHA-256 of the spec and of all integers, 64 hexadecimal digits: files name the prior they need by it.</summary>
    public string Fingerprint => fingerprint ??= Hash();

    private string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(Spec.ToJson()));
        foreach (var level in Levels)
        {
            foreach (var tables in level.Above.Prepend(level.Own))
            foreach (var table in tables.Tables)
                Append(hash, table);
            Append(hash, level.Phase ?? []);
            foreach (var layer in (FrozenLayer[])[level.Enter, level.Hidden, .. level.Join, .. level.Leave])
            {
                Append(hash, layer.Weights);
                foreach (var number in layer.Bias.Append(layer.Shift))
                    Append(hash, number);
            }
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Append(IncrementalHash hash, short[] values)
    {
        if (BitConverter.IsLittleEndian)
            hash.AppendData(MemoryMarshal.AsBytes<short>(values));
        else
            foreach (var value in values)
                hash.AppendData([(byte)value, (byte)(value >> 8)]);
    }

    private static void Append(IncrementalHash hash, int value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        hash.AppendData(bytes);
    }
}

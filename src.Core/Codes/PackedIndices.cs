using System.Numerics;

namespace DQ.Core.Codes;

/// <summary>Packs indices 0 … K−1 with ⌈log2 K⌉ bits each, one after the other, the lowest bit first. The last byte is padded with
/// zeros.</summary>
public static class PackedIndices
{
    /// <summary>Bits of an index, ⌈log2 K⌉; 0 for one code.</summary>
    public static int Bits(int codes) => codes > 1 ? BitOperations.Log2((uint)codes - 1) + 1 : 0;

    /// <summary>Number of bytes for this number of indices.</summary>
    /// <exception cref="OverflowException">The number is too large.</exception>
    public static long Bytes(long count, int bits) => checked((count * bits + 7) / 8);

    /// <param name="indices">Indices, each below 2^bits.</param>
    /// <param name="bits">0 … 31.</param>
    public static byte[] Pack(ReadOnlySpan<int> indices, int bits)
    {
        var packed = new byte[Bytes(indices.Length, bits)];
        var (held, holding, at) = (0L, 0, 0);
        foreach (var index in indices)
        {
            held |= (long)index << holding;
            for (holding += bits; holding >= 8; holding -= 8, held >>= 8)
                packed[at++] = (byte)held;
        }
        if (holding > 0)
            packed[at] = (byte)held;
        return packed;
    }

    /// <param name="packed">Bytes as <see cref="Pack"/> returns them.</param>
    /// <param name="count">Number of indices.</param>
    /// <param name="bits">0 … 31.</param>
    public static int[] Unpack(ReadOnlySpan<byte> packed, int count, int bits)
    {
        var indices = new int[count];
        var (held, holding, at) = (0L, 0, 0);
        for (var place = 0; place < count; place++)
        {
            for (; holding < bits; holding += 8)
                held |= (long)packed[at++] << holding;
            indices[place] = (int)(held & ((1L << bits) - 1));
            held >>= bits;
            holding -= bits;
        }
        return indices;
    }
}

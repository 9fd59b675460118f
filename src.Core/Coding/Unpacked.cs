using System.IO.Compression;

namespace DQ.Core.Coding;

/// <summary>Packed parts of files that anyone may have made: memory is taken as content appears, never by what a header claims.</summary>
internal static class Unpacked
{
    private const int Step = 1 << 16;

    /// <exception cref="InvalidDataException">Not whole, or of another length than <paramref name="length"/>, or that is above <paramref name="most"/>.</exception>
    public static byte[] Brotli(ReadOnlySpan<byte> packed, int length, int most, string what)
    {
        if (length < 0 || length > most)
            throw new InvalidDataException($"{what} of {length} bytes: expected at most {most}");
        var content = new byte[Math.Min(length, Step)];
        var filled = 0;
        using var decoder = new DecoderOwner();
        while (true)
        {
            var status = decoder.Value.Decompress(packed, content.AsSpan(filled), out var consumed, out var written);
            packed = packed[consumed..];
            filled += written;
            switch (status)
            {
                case System.Buffers.OperationStatus.Done when filled == length && packed.IsEmpty:
                    return content;
                case System.Buffers.OperationStatus.DestinationTooSmall when filled == content.Length && filled < length:
                    Array.Resize(ref content, (int)Math.Min(length, 2L * content.Length));
                    break;
                default:
                    throw new InvalidDataException($"{what} that is damaged: its packed bytes can't be unpacked");
            }
        }
    }

    private sealed class DecoderOwner : IDisposable
    {
        public BrotliDecoder Value;

        public void Dispose() => Value.Dispose();
    }
}

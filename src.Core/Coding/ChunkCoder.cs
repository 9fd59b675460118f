using System.Collections.Concurrent;
using DQ.Core.Formats;

namespace DQ.Core.Coding;

/// <summary>Chunks to bytes and back, in the mode that makes them smallest. Any number of threads may use one at once.</summary>
internal sealed class ChunkCoder(CodingModels models)
{
    private const int DrawingShare = 16;

    private readonly ConcurrentDictionary<(int Channels, ChunkMode Mode), ConcurrentBag<ContextCoder>> _idle = new();

    /// <summary>The margins of pixels that no model codes.</summary>
    private const int PlainRadius = 3;

    /// <summary>Room for a chunk's pixels.</summary>
    public ContextPixels Room(Chunk chunk) =>
        new(
            [.. chunk.Pieces.Select(piece => (piece.Width, piece.Rows))],
            chunk.Channels,
            models.For(chunk.Channels)?.Spec.Radius ?? PlainRadius
        );

    /// <summary>The smallest of what the modes make of the pixels.</summary>
    public (ChunkRecord Record, byte[] Bytes) Encode(ContextPixels pixels, CancellationToken cancellation)
    {
        var raw = Raw(pixels);
        var (mode, bytes) = (ChunkMode.Raw, raw);
        if (FlatCoder.IsWorthTrying(pixels) && FlatCoder.Encode(pixels, cancellation) is var flat && flat.Length < bytes.Length)
            (mode, bytes) = (ChunkMode.Flat, flat);
        // where that is a drawing's size, the model can't do better, and takes its time
        if (bytes.Length > raw.Length / DrawingShare && models.For(pixels.Channels) is { } model)
        {
            var coder = Take(model, ChunkMode.Learning);
            var context = coder.Encode(pixels, cancellation);
            Return(coder, ChunkMode.Learning);
            if (context.Length < bytes.Length)
                (mode, bytes) = (ChunkMode.Learning, context);
        }
        return (new ChunkRecord(mode, bytes.Length, Crc32.Of(bytes), Crc32.Of(raw)), bytes);
    }

    /// <summary>Fills the pixels of a chunk.</summary>
    /// <exception cref="InvalidDataException">The bytes are damaged, or other pixels come out than went in.</exception>
    public void Decode(ChunkRecord record, ReadOnlySpan<byte> bytes, ContextPixels pixels, CancellationToken cancellation)
    {
        if (Crc32.Of(bytes) != record.Checksum)
            throw new InvalidDataException("damaged: its checksum is another");
        switch (record.Mode)
        {
            case ChunkMode.Raw:
                FromRaw(bytes, pixels);
                break;
            case ChunkMode.Flat:
                FlatCoder.Decode(bytes, pixels, cancellation);
                break;
            default:
                var coder = Take(
                    models.For(pixels.Channels)
                        ?? throw new InvalidDataException($"needs a model for {pixels.Channels} channels, which the file does not name"),
                    record.Mode
                );
                coder.Decode(bytes, pixels, cancellation);
                Return(coder, record.Mode);
                break;
        }
        if (Crc32.Of(Raw(pixels)) != record.PixelChecksum)
            throw new InvalidDataException("decodes to other pixels than were coded");
    }

    private ContextCoder Take(FrozenContext model, ChunkMode mode) =>
        _idle.GetOrAdd((model.Spec.Channels, mode), _ => []).TryTake(out var coder) ? coder
        : mode == ChunkMode.Learning ? ContextCoder.Learning(model)
        : ContextCoder.Fixed(model);

    private void Return(ContextCoder coder, ChunkMode mode) => _idle[(coder.Model.Spec.Channels, mode)].Add(coder);

    /// Row by row, without margins.
    private static byte[] Raw(ContextPixels pixels)
    {
        var raw = new byte[pixels.Count * pixels.Channels];
        var rest = raw.AsSpan();
        foreach (var row in Rows(pixels))
        {
            pixels.Bytes.AsSpan(row.Start, row.Length).CopyTo(rest);
            rest = rest[row.Length..];
        }
        return raw;
    }

    private static void FromRaw(ReadOnlySpan<byte> raw, ContextPixels pixels)
    {
        if (raw.Length != pixels.Count * pixels.Channels)
            throw new InvalidDataException($"expected {pixels.Count * pixels.Channels} bytes of pixels, got {raw.Length}");
        foreach (var row in Rows(pixels))
        {
            raw[..row.Length].CopyTo(pixels.Bytes.AsSpan(row.Start));
            raw = raw[row.Length..];
        }
    }

    private static IEnumerable<(int Start, int Length)> Rows(ContextPixels pixels)
    {
        foreach (var piece in pixels.Pieces)
            for (var row = 0; row < piece.Height; row++)
                yield return (piece.Origin + row * piece.Stride, piece.Width * pixels.Channels);
    }
}

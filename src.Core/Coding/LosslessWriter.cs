using System.Buffers.Binary;
using System.IO.Compression;
using DQ.Core.Formats;

namespace DQ.Core.Coding;

/// <summary>Writes a lossless file: chunks as they come, and at the end what they are. docs/lossless-format.md describes its bytes.</summary>
/// <param name="target">Where it goes; only written, front to back.</param>
/// <param name="models">What pictures are coded with.</param>
/// <param name="withModels">Whether the models go into the file.</param>
/// <param name="threads">Threads that code.</param>
/// <param name="cancellation">Stops with an exception.</param>
public sealed class LosslessWriter(Stream target, CodingModels models, bool withModels, int threads, CancellationToken cancellation)
{
    private readonly ChunkCoder _coder = new(models);
    private readonly ChunkPlanner _planner = new(ChunkPlanner.DefaultGroupPixels, ChunkPlanner.DefaultBandPixels);
    private readonly OrderedWork<(ChunkRecord Record, byte[] Bytes)> _work = new(threads, cancellation);
    private readonly List<ModelReference> _models = [];
    private readonly List<LosslessEntry> _entries = [];
    private readonly List<ChunkRecord> _chunks = [];
    private readonly Dictionary<int, (LosslessPicture Picture, int Planes)> _held = [];
    private long _written;

    /// <summary>Adds a picture; how it is coded may follow later.</summary>
    /// <exception cref="InvalidDataException">It is too long or too wide, or there are too many.</exception>
    public void Add(LosslessPicture picture)
    {
        if (Math.Max(picture.Colors.Width, picture.Colors.Height) > LosslessEntry.LargestSide)
            throw new InvalidDataException(
                $"expected at most {LosslessEntry.LargestSide} pixels a side, got {picture.Colors.Width} × {picture.Colors.Height}"
            );
        if (_entries.Count == LosslessIndex.MostEntries)
            throw new InvalidDataException($"expected at most {LosslessIndex.MostEntries} pictures in a file");
        if (_written == 0)
            Begin();
        // a gray picture without a model of its own is better off with that for colors
        var entry = picture.Entry(models.Gray != null || models.Color == null);
        _held[_entries.Count] = (picture, entry.Height * (entry.HasAlpha ? 2 : 1));
        _entries.Add(entry);
        foreach (var chunk in _planner.Add(_entries.Count - 1, entry))
            Code(chunk);
    }

    /// <summary>Writes what is left.</summary>
    public void Finish()
    {
        if (_written == 0)
            Begin();
        foreach (var chunk in _planner.Finish())
            Code(chunk);
        foreach (var coded in _work.Finish())
            Write(coded);
        var index = new LosslessIndex(ChunkPlanner.DefaultGroupPixels, ChunkPlanner.DefaultBandPixels, _models, _entries, _chunks).Write();
        if (index.Length > LosslessFile.LargestIndex)
            throw new InvalidDataException("the pictures' names and profiles take too much room: make several files");
        using var packed = new MemoryStream();
        using (var brotli = new BrotliStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
            brotli.Write(index);
        var bytes = packed.ToArray();
        target.Write(bytes);
        Span<byte> end = stackalloc byte[LosslessFile.EndBytes];
        BinaryPrimitives.WriteInt64LittleEndian(end, _written);
        BinaryPrimitives.WriteInt32LittleEndian(end[8..], bytes.Length);
        BinaryPrimitives.WriteInt32LittleEndian(end[12..], index.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(end[16..], Crc32.Of(bytes));
        LosslessFile.Magic.CopyTo(end[20..]);
        target.Write(end);
    }

    /// <summary>Waits for the threads, after an error.</summary>
    public void Abandon() => _work.Abandon();

    private void Begin()
    {
        target.Write(LosslessFile.Magic);
        _written = LosslessFile.Magic.Length;
        foreach (var model in new[] { models.Color, models.Gray }.OfType<FrozenContext>())
        {
            var packed = withModels ? FrozenContextFile.Write(model) : [];
            target.Write(packed);
            _written += packed.Length;
            _models.Add(new ModelReference(model.Spec.Channels, model.Hash, packed.Length));
        }
    }

    private void Code(Chunk chunk)
    {
        var pixels = _coder.Room(chunk);
        for (var i = 0; i < chunk.Pieces.Count; i++)
        {
            var piece = chunk.Pieces[i];
            var (picture, rows) = _held[piece.Image];
            picture.CopyTo(pixels, i, piece);
            if (rows == piece.Rows)
                _held.Remove(piece.Image);
            else
                _held[piece.Image] = (picture, rows - piece.Rows);
        }
        foreach (var coded in _work.Add(() => _coder.Encode(pixels, cancellation)))
            Write(coded);
    }

    private void Write((ChunkRecord Record, byte[] Bytes) coded)
    {
        target.Write(coded.Bytes);
        _written += coded.Bytes.Length;
        _chunks.Add(coded.Record);
    }
}

using System.Buffers.Binary;
using DQ.Core.Formats;
using DQ.Core.Images;

namespace DQ.Core.Coding;

/// <summary>A lossless file, open for reading. docs/lossless-format.md describes its bytes.</summary>
public sealed class LosslessFile : IDisposable
{
    /// <summary>Bytes of the end, which says where the index is.</summary>
    internal const int EndBytes = 28;

    /// <summary>Bytes an index may have when unpacked.</summary>
    internal const int LargestIndex = 32 << 20;

    private const int LargestModel = 64 << 20;

    private readonly FileStream _file;
    private readonly LosslessIndex _index;
    private readonly Chunk[] _plan;
    private readonly long[] _places;
    private readonly CodingModels _embedded;

    private LosslessFile(FileStream file, long maxPixels)
    {
        _file = file;
        (_index, var indexPlace) = ReadIndex(file, maxPixels);
        var place = (long)Magic.Length;
        _embedded = CodingModels.None;
        foreach (var model in _index.Models)
        {
            if (model.PackedBytes > 0)
                _embedded = CodingModels.Of(ReadModel(model, place)).Or(_embedded);
            place += model.PackedBytes;
        }
        // a plan has at most a chunk a row, and more chunks than records end it
        _plan = [.. _index.Plan().Take(_index.Chunks.Count + 1)];
        if (_plan.Length != _index.Chunks.Count)
            throw new InvalidDataException($"damaged: its {_index.Entries.Count} pictures don't fit its {_index.Chunks.Count} chunks");
        _places = new long[_plan.Length];
        for (var i = 0; i < _plan.Length; i++)
        {
            _places[i] = place;
            place += _index.Chunks[i].Bytes;
        }
        if (place != indexPlace)
            throw new InvalidDataException($"cut short or damaged: expected {place} bytes before the index, found {indexPlace}");
    }

    /// <summary>How a file begins and ends.</summary>
    internal static ReadOnlySpan<byte> Magic => "DQLOSSL1"u8;

    /// <summary>The pictures.</summary>
    public IReadOnlyList<LosslessEntry> Entries => _index.Entries;

    /// <summary>Bytes of the whole file.</summary>
    public long Bytes => _file.Length;

    /// <summary>Models the file needs: channels, SHA-256, and whether it holds it.</summary>
    public IReadOnlyList<(int Channels, string Hash, bool IsInFile)> Models =>
        [.. _index.Models.Select(model => (model.Channels, model.Hash, model.PackedBytes > 0))];

    /// <summary>Bytes of the models in the file.</summary>
    public long ModelBytes => _index.Models.Sum(model => (long)model.PackedBytes);

    /// <summary>How many chunks each mode codes: raw, context, flat.</summary>
    public (int Raw, int Context, int Flat) ChunkModes =>
        (Count(ChunkMode.Raw), Count(ChunkMode.Context) + Count(ChunkMode.Learning), Count(ChunkMode.Flat));

    /// <summary>Opens a file and checks all of it but the chunks.</summary>
    /// <param name="path">Of the file.</param>
    /// <param name="maxPixels">Height times width a picture may have.</param>
    /// <exception cref="InvalidDataException">Not a whole lossless file; one line that names it.</exception>
    public static LosslessFile Open(string path, long maxPixels = ImageFile.DefaultMaxPixels)
    {
        FileStream file;
        try
        {
            file = RegularFile.OpenRead(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"{path}: expected a readable lossless file: {error.Message}", error);
        }
        try
        {
            return new LosslessFile(file, maxPixels);
        }
        catch (InvalidDataException problem)
        {
            file.Dispose();
            throw new InvalidDataException($"{path}: {problem.Message}", problem);
        }
    }

    /// <summary>The models that are needed: those in the file, then those of <paramref name="known"/> with the same content.</summary>
    /// <exception cref="InvalidDataException">One is missing; names it.</exception>
    public CodingModels Resolve(params IEnumerable<FrozenContext> known)
    {
        var models = _embedded;
        foreach (var (channels, hash, _) in Models)
            if (models.For(channels) == null)
                models = CodingModels
                    .Of(
                        known.FirstOrDefault(model => model.Spec.Channels == channels && model.Hash == hash)
                            ?? throw new InvalidDataException(
                                $"{_file.Name}: needs the model {hash[..12]}… for {channels} channels: name it by --model FILE or --run RUN"
                            )
                    )
                    .Or(models);
        return models;
    }

    /// <summary>All pictures, each as soon as its last chunk is decoded: mostly in their order, with their numbers.</summary>
    /// <param name="models">From <see cref="Resolve"/>.</param>
    /// <param name="threads">Threads that decode.</param>
    /// <param name="cancellation">Stops with an exception.</param>
    /// <exception cref="InvalidDataException">A chunk is damaged; names the file and the pictures.</exception>
    public IEnumerable<(int Number, LosslessPicture Picture)> Read(CodingModels models, int threads, CancellationToken cancellation) =>
        Read(models, threads, Enumerable.Range(0, _plan.Length), damage => throw damage, cancellation);

    /// <summary>All pictures that no damaged chunk is part of, as <see cref="Read(CodingModels, int, CancellationToken)"/>.</summary>
    /// <param name="models">From <see cref="Resolve"/>.</param>
    /// <param name="threads">Threads that decode.</param>
    /// <param name="damaged">Is told of each damaged chunk; the message names the file and the pictures.</param>
    /// <param name="cancellation">Stops with an exception.</param>
    public IEnumerable<(int Number, LosslessPicture Picture)> ReadUndamaged(
        CodingModels models,
        int threads,
        Action<InvalidDataException> damaged,
        CancellationToken cancellation
    ) => Read(models, threads, Enumerable.Range(0, _plan.Length), damaged, cancellation);

    /// <summary>One picture, from its own chunks alone.</summary>
    /// <exception cref="InvalidDataException">A chunk is damaged.</exception>
    public LosslessPicture ReadOne(int number, CodingModels models, CancellationToken cancellation = default) =>
        Read(
                models,
                1,
                Enumerable.Range(0, _plan.Length).Where(chunk => _plan[chunk].Pieces.Any(piece => piece.Image == number)),
                damage => throw damage,
                cancellation
            )
            .First(read => read.Number == number)
            .Picture;

    public void Dispose() => _file.Dispose();

    private IEnumerable<(int Number, LosslessPicture Picture)> Read(
        CodingModels models,
        int threads,
        IEnumerable<int> chunks,
        Action<InvalidDataException> damaged,
        CancellationToken cancellation
    )
    {
        var coder = new ChunkCoder(models);
        var work = new OrderedWork<DecodedChunk>(threads, cancellation);
        var unfinished = new UnfinishedPictures(this, damaged);
        try
        {
            foreach (var chunk in chunks)
            {
                var bytes = ReadBytes(_places[chunk], _index.Chunks[chunk].Bytes);
                foreach (var done in work.Add(() => Decoded(coder, chunk, bytes, cancellation)))
                foreach (var picture in unfinished.Completed(done))
                    yield return picture;
            }
            foreach (var done in work.Finish())
            foreach (var picture in unfinished.Completed(done))
                yield return picture;
        }
        finally
        {
            work.Abandon();
        }
    }

    private DecodedChunk Decoded(ChunkCoder coder, int chunk, byte[] bytes, CancellationToken cancellation)
    {
        try
        {
            var pixels = coder.Room(_plan[chunk]);
            coder.Decode(_index.Chunks[chunk], bytes, pixels, cancellation);
            return new(chunk, pixels, null);
        }
        catch (InvalidDataException problem)
        {
            var images = _plan[chunk].Pieces;
            var message = $"{_file.Name}: chunk {chunk}, pictures {images[0].Image} to {images[^1].Image}: {problem.Message}";
            return new(chunk, null, new InvalidDataException(message, problem));
        }
    }

    private byte[] ReadBytes(long place, int count)
    {
        var bytes = new byte[count];
        _file.Position = place;
        _file.ReadExactly(bytes);
        return bytes;
    }

    private FrozenContext ReadModel(ModelReference reference, long place)
    {
        if (reference.PackedBytes > Math.Min(LargestModel, _file.Length - place))
            throw new InvalidDataException("cut short or damaged: its model is not whole");
        var model = FrozenContextFile.Read(ReadBytes(place, reference.PackedBytes));
        return model.Hash == reference.Hash && model.Spec.Channels == reference.Channels
            ? model
            : throw new InvalidDataException("damaged: its model is another than it names");
    }

    private int Count(ChunkMode mode) => _index.Chunks.Count(chunk => chunk.Mode == mode);

    private static (LosslessIndex Index, long Place) ReadIndex(FileStream file, long maxPixels)
    {
        Span<byte> begin = stackalloc byte[FileKind.Looked];
        begin = begin[..file.ReadAtLeast(begin, begin.Length, throwOnEndOfStream: false)];
        if (!begin.StartsWith(Magic))
            throw new InvalidDataException($"expected a lossless file, which begins with DQLOSSL1, found {FileKind.Describe(begin)}");
        Span<byte> end = stackalloc byte[EndBytes];
        if (file.Length < Magic.Length + EndBytes)
            throw new InvalidDataException("cut short: it has no end");
        file.Position = file.Length - EndBytes;
        file.ReadExactly(end);
        if (!end[20..].SequenceEqual(Magic))
            throw new InvalidDataException("cut short: it does not end with DQLOSSL1");
        var place = BinaryPrimitives.ReadInt64LittleEndian(end);
        var packedBytes = BinaryPrimitives.ReadInt32LittleEndian(end[8..]);
        if (packedBytes < 0 || place < Magic.Length || place != file.Length - EndBytes - packedBytes)
            throw new InvalidDataException("damaged: its end does not say where the index is");
        if (packedBytes > LargestIndex)
            throw new InvalidDataException($"damaged: an index of {packedBytes} bytes");
        var packed = new byte[packedBytes];
        file.Position = place;
        file.ReadExactly(packed);
        if (Crc32.Of(packed) != BinaryPrimitives.ReadUInt32LittleEndian(end[16..]))
            throw new InvalidDataException("damaged: its index has another checksum");
        var index = Unpacked.Brotli(packed, BinaryPrimitives.ReadInt32LittleEndian(end[12..]), LargestIndex, "an index");
        return (LosslessIndex.Read(index, maxPixels), place);
    }

    /// <param name="Chunk">Which.</param>
    /// <param name="Pixels">What it holds; null where it is damaged.</param>
    /// <param name="Damage">Null where it is whole.</param>
    private readonly record struct DecodedChunk(int Chunk, ContextPixels? Pixels, InvalidDataException? Damage);

    /// <summary>Pictures of which some chunks are decoded, and which ones damage has taken.</summary>
    private sealed class UnfinishedPictures(LosslessFile file, Action<InvalidDataException> damaged)
    {
        private readonly Dictionary<int, (LosslessPicture Picture, int Rows)> _held = [];
        private readonly HashSet<int> _lost = [];

        /// <summary>The pictures that a chunk completes.</summary>
        public IEnumerable<(int Number, LosslessPicture Picture)> Completed(DecodedChunk chunk)
        {
            var pieces = file._plan[chunk.Chunk].Pieces;
            if (chunk.Pixels is not { } pixels)
            {
                damaged(chunk.Damage!);
                foreach (var piece in pieces)
                {
                    _lost.Add(piece.Image);
                    _held.Remove(piece.Image);
                }
                yield break;
            }
            for (var i = 0; i < pieces.Count; i++)
            {
                var piece = pieces[i];
                if (_lost.Contains(piece.Image))
                    continue;
                var entry = file.Entries[piece.Image];
                if (!_held.Remove(piece.Image, out var known))
                    known = (LosslessPicture.Blank(entry), entry.Height * (entry.HasAlpha ? 2 : 1));
                known.Picture.CopyFrom(pixels, i, piece);
                if (known.Rows == piece.Rows)
                    yield return (piece.Image, known.Picture);
                else
                    _held[piece.Image] = known with { Rows = known.Rows - piece.Rows };
            }
        }
    }
}

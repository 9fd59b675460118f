using System.Buffers.Binary;
using DQ.Core.Codes;
using DQ.Core.Formats;

namespace DQ.Core.Priors;

/// <summary>
/// A file of codes that are coded under a prior: <c>DQCODES2</c>, the header's length, the header as JSON, then chunks, each with its
/// length and its checksum (uint32, little-endian). docs/codes-format.md has the details.
/// </summary>
public sealed class PriorCodesFile : IDisposable
{
    /// <summary>A chunk has at most this many images, and if it has several, at most this many codes.</summary>
    private const int MostImages = 256;
    private const int MostCodes = 1 << 22;

    /// Codes of an image that a reader takes; each needs memory, and may need less than a bit of the file.
    private const int MostCodesOfImage = 1 << 26;

    private const int ChunkHead = 2 * sizeof(uint);

    private readonly FileStream file;
    private readonly string path;
    private readonly long dataStart;

    private PriorCodesFile(FileStream file, string path, CodesHeader header, long dataStart) =>
        (this.file, this.path, Header, this.dataStart) = (file, path, header, dataStart);

    public CodesHeader Header { get; }

    /// <exception cref="InvalidDataException">The file is not such a file, is damaged, or is truncated; the message names it.</exception>
    public static PriorCodesFile Open(string path)
    {
        var file = CodesFile.OpenStream(path);
        try
        {
            var header = CodesFile.ReadHeader(file, isCoded: true, out var dataStart);
            RequireFewCodes(header);
            return new(file, path, header, dataStart);
        }
        catch (Exception error) when (error is InvalidDataException or OverflowException)
        {
            file.Dispose();
            throw new InvalidDataException($"{path}: {error.Message}", error);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The codes of all images in order, each as from <see cref="CodesFile.Read"/>.</summary>
    /// <param name="prior">The prior of the header.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="InvalidDataException">Another prior, or a damaged file; the message names the file.</exception>
    public IEnumerable<int[][]> Read(FrozenPrior prior, CancellationToken cancellation = default)
    {
        if (Header.Prior!.Fingerprint != prior.Fingerprint)
            throw new InvalidDataException(
                $"{path}: its codes are coded under prior {Header.Prior.Fingerprint[..12]}…, not {prior.Fingerprint[..12]}…"
            );
        if (Header.Model != prior.Spec.Model || !Header.Levels.SequenceEqual(prior.Spec.Levels))
            throw new InvalidDataException($"{path}: damaged: its header has another model or other levels than the prior that it names");
        var at = dataStart;
        foreach (var (first, count) in Chunks(Header))
        {
            var stream = ReadChunk(ref at, first);
            foreach (var image in Decoded(prior, first, count, stream, cancellation))
                yield return image;
        }
        if (at != file.Length)
            throw new InvalidDataException($"{path}: expected {at} bytes, found {file.Length}");
    }

    /// <summary>Writes header and codes; the file is written completely or not at all.</summary>
    /// <param name="path">An existing file is replaced.</param>
    /// <param name="header">Header for the same number of images, with this prior.</param>
    /// <param name="prior">The prior.</param>
    /// <param name="images">For each image its codes as in <see cref="CodesFile.Write"/>; enumerated a chunk at a time.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public static void Write(
        string path,
        CodesHeader header,
        FrozenPrior prior,
        IEnumerable<int[][]> images,
        CancellationToken cancellation = default
    ) =>
        AtomicFile.Write(
            path,
            stream =>
            {
                RequireFewCodes(header);
                CodesFile.WriteHeader(stream, header);
                using var each = images.GetEnumerator();
                foreach (var (first, count) in Chunks(header))
                {
                    var codes = Enumerable.Range(first, count).Select(image => Next(each, header, image)).ToArray();
                    WriteChunk(stream, PriorCoder.Encode(prior, Grids(header, first), codes, cancellation));
                }
                if (each.MoveNext())
                    throw new ArgumentException($"expected {header.Count} images, got more", nameof(images));
            }
        );

    public void Dispose() => file.Dispose();

    private static void RequireFewCodes(CodesHeader header)
    {
        for (var image = 0; image < header.Sizes.Count; image++)
            if (CodesOf(header, image) > MostCodesOfImage)
                throw new InvalidDataException($"image {image}: expected at most {MostCodesOfImage} codes, got {CodesOf(header, image)}");
    }

    /// Images that are coded together: neighbours of one size.
    private static IEnumerable<(int First, int Count)> Chunks(CodesHeader header)
    {
        for (var first = 0; first < header.Count; )
        {
            var most = (int)Math.Clamp(MostCodes / CodesOf(header, first), 1, MostImages);
            var count = 1;
            while (count < most && first + count < header.Count && header.Size(first + count) == header.Size(first))
                count++;
            yield return (first, count);
            first += count;
        }
    }

    private static long CodesOf(CodesHeader header, int image) =>
        Enumerable.Range(0, header.Levels.Count).Sum(level => (long)header.IndexCount(image, level));

    private static (int Height, int Width)[] Grids(CodesHeader header, int image) =>
        [.. Enumerable.Range(0, header.Levels.Count).Select(level => header.Grid(image, level))];

    private static int[][] Next(IEnumerator<int[][]> images, CodesHeader header, int image)
    {
        if (!images.MoveNext())
            throw new ArgumentException($"expected {header.Count} images, got {image}", nameof(images));
        for (var level = 0; level < header.Levels.Count; level++)
            if (images.Current[level].Length != header.IndexCount(image, level))
                throw new ArgumentException(
                    $"image {image}, level {level}: expected {header.IndexCount(image, level)} indices, got {images.Current[level].Length}",
                    nameof(images)
                );
        return images.Current;
    }

    private static void WriteChunk(Stream file, byte[] stream)
    {
        Span<byte> head = stackalloc byte[ChunkHead];
        BinaryPrimitives.WriteUInt32LittleEndian(head, (uint)stream.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[sizeof(uint)..], Crc32.Of(stream));
        file.Write(head);
        file.Write(stream);
    }

    private byte[] ReadChunk(ref long at, int first)
    {
        Span<byte> head = stackalloc byte[ChunkHead];
        file.Position = at;
        if (file.ReadAtLeast(head, ChunkHead, throwOnEndOfStream: false) < ChunkHead)
            throw Cut(first);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(head);
        if (length > file.Length - at - ChunkHead)
            throw Cut(first);
        var stream = new byte[length];
        file.ReadExactly(stream);
        at += ChunkHead + length;
        return Crc32.Of(stream) == BinaryPrimitives.ReadUInt32LittleEndian(head[sizeof(uint)..])
            ? stream
            : throw new InvalidDataException($"{path}: damaged: the codes from image {first} on are not what their checksum says");
    }

    private InvalidDataException Cut(int first) => new($"{path}: cut short or damaged in the codes from image {first} on");

    private int[][][] Decoded(FrozenPrior prior, int first, int count, byte[] stream, CancellationToken cancellation)
    {
        try
        {
            return PriorCoder.Decode(prior, Grids(Header, first), count, stream, cancellation);
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException($"{path}: damaged from image {first} on: {error.Message}", error);
        }
    }
}

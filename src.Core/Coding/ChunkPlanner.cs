namespace DQ.Core.Coding;

/// <summary>Rows of one plane of a picture.</summary>
/// <param name="Image">Index of the picture.</param>
/// <param name="IsAlpha">Its opacities, not its colors.</param>
/// <param name="Width">Pixels across.</param>
/// <param name="FirstRow">The first of the rows.</param>
/// <param name="Rows">How many.</param>
internal sealed record ChunkPiece(int Image, bool IsAlpha, int Width, int FirstRow, int Rows);

/// <summary>What is coded together, and decoded on its own.</summary>
/// <param name="Channels">1 or 3, of every piece.</param>
/// <param name="Pieces">In the order of pictures.</param>
internal sealed record Chunk(int Channels, IReadOnlyList<ChunkPiece> Pieces);

/// <summary>
/// Cuts pictures into chunks. Small planes with the same number of channels share a chunk; a large one is cut into bands of rows, all of
/// about the same height. The chunks follow from the pictures' sizes alone, so a file does not store them.
/// </summary>
internal sealed class ChunkPlanner(int groupPixels, int bandPixels)
{
    /// <summary>Pixels of small pictures that share a chunk.</summary>
    public const int DefaultGroupPixels = 1 << 17;

    /// <summary>Pixels of a large picture's band.</summary>
    public const int DefaultBandPixels = 1 << 19;

    /// <summary>Pixels of a picture that stays whole.</summary>
    private const int LargestWhole = 1 << 22;

    private readonly Group _color = new(3);
    private readonly Group _gray = new(1);

    /// <summary>The chunks that are complete once this picture is known.</summary>
    public IEnumerable<Chunk> Add(int image, LosslessEntry entry)
    {
        var chunks = Plane(image, entry, isAlpha: false, entry.CodedChannels);
        return entry.HasAlpha ? chunks.Concat(Plane(image, entry, isAlpha: true, 1)) : chunks;
    }

    /// <summary>The chunks that are left when all pictures are known.</summary>
    public IEnumerable<Chunk> Finish() => Closed(_color).Concat(Closed(_gray));

    private IEnumerable<Chunk> Plane(int image, LosslessEntry entry, bool isAlpha, int channels)
    {
        var pixels = (long)entry.Width * entry.Height;
        if (pixels > (entry.IsWhole && !isAlpha ? Math.Max(bandPixels, LargestWhole) : bandPixels))
        {
            var bands = (int)Math.Min((pixels + bandPixels - 1) / bandPixels, entry.Height);
            for (var band = 0; band < bands; band++)
            {
                var first = (int)((long)entry.Height * band / bands);
                var end = (int)((long)entry.Height * (band + 1) / bands);
                yield return new Chunk(channels, [new ChunkPiece(image, isAlpha, entry.Width, first, end - first)]);
            }
            yield break;
        }
        var group = channels == 3 ? _color : _gray;
        if (group.Pieces.Count > 0 && group.Pixels + pixels > groupPixels)
            foreach (var chunk in Closed(group))
                yield return chunk;
        group.Pieces.Add(new ChunkPiece(image, isAlpha, entry.Width, 0, entry.Height));
        group.Pixels += pixels;
    }

    private static IEnumerable<Chunk> Closed(Group group)
    {
        if (group.Pieces.Count == 0)
            yield break;
        yield return new Chunk(group.Channels, group.Pieces);
        (group.Pieces, group.Pixels) = ([], 0);
    }

    private sealed class Group(int channels)
    {
        public int Channels => channels;
        public List<ChunkPiece> Pieces { get; set; } = [];
        public long Pixels { get; set; }
    }
}

using System.Text;

namespace DQ.Core.Coding;

/// <summary>How a chunk's bytes are to be read.</summary>
internal enum ChunkMode : byte
{
    /// <summary>Pixels as they are.</summary>
    Raw = 0,

    /// <summary>By the context model of the chunk's channels, as it is: read, no longer written.</summary>
    Context = 1,

    /// <summary>By what was seen in the same surroundings: drawings and screenshots.</summary>
    Flat = 2,

    /// <summary>By the context model of the chunk's channels, which learns as it goes.</summary>
    Learning = 3,
}

/// <param name="Mode">How its bytes are to be read.</param>
/// <param name="Bytes">How many.</param>
/// <param name="Checksum">CRC-32 of the bytes.</param>
/// <param name="PixelChecksum">CRC-32 of the pixels they stand for.</param>
internal readonly record struct ChunkRecord(ChunkMode Mode, int Bytes, uint Checksum, uint PixelChecksum);

/// <param name="Channels">Of the pictures it is for.</param>
/// <param name="Hash">SHA-256, 64 hexadecimal digits.</param>
/// <param name="PackedBytes">Of the model in the file; 0 where it is not in it.</param>
internal sealed record ModelReference(int Channels, string Hash, int PackedBytes);

/// <summary>What stands at the end of a lossless file: models, pictures, chunks. docs/lossless-format.md describes its bytes.</summary>
internal sealed record LosslessIndex(
    int GroupPixels,
    int BandPixels,
    IReadOnlyList<ModelReference> Models,
    IReadOnlyList<LosslessEntry> Entries,
    IReadOnlyList<ChunkRecord> Chunks
)
{
    /// <summary>Pictures a file may have.</summary>
    public const int MostEntries = 1 << 20;

    private const int HashBytes = 32;

    /// <summary>The chunks' pieces, which follow from the pictures' sizes.</summary>
    public IEnumerable<Chunk> Plan()
    {
        var planner = new ChunkPlanner(GroupPixels, BandPixels);
        for (var image = 0; image < Entries.Count; image++)
            foreach (var chunk in planner.Add(image, Entries[image]))
                yield return chunk;
        foreach (var chunk in planner.Finish())
            yield return chunk;
    }

    public byte[] Write()
    {
        var writer = new IndexWriter();
        writer.Number(GroupPixels);
        writer.Number(BandPixels);
        writer.Number(Models.Count);
        foreach (var model in Models)
        {
            writer.Number(model.Channels / 2);
            writer.Raw(Convert.FromHexString(model.Hash));
            writer.Number(model.PackedBytes);
        }
        byte[][] profiles = [.. Entries.Select(entry => entry.Profile).OfType<byte[]>().DistinctBy(profile => Sha256.Of(profile))];
        writer.Number(profiles.Length);
        foreach (var profile in profiles)
            writer.Bytes(profile);
        var profileNumbers = profiles.Select((profile, number) => (Sha256.Of(profile), number)).ToDictionary();
        writer.Number(Entries.Count);
        // one column after the other: equal and rising numbers then pack to nothing
        foreach (var entry in Entries)
            writer.Number(
                (entry.Channels == 3 ? 1 : 0)
                    | (entry.HasAlpha ? 2 : 0)
                    | (entry.IsGrayColor ? 4 : 0)
                    | (entry.Name != null ? 8 : 0)
                    | (entry.ModifiedTicks != null ? 16 : 0)
                    | (entry.Profile != null ? 32 : 0)
                    | (entry.IsWhole ? 64 : 0)
            );
        foreach (var entry in Entries)
            writer.Number(entry.Width);
        foreach (var entry in Entries)
            writer.Number(entry.Height);
        foreach (var entry in Entries)
            if (entry.Name is { } name)
                writer.Bytes(Encoding.UTF8.GetBytes(name));
        var before = 0L;
        foreach (var entry in Entries)
            if (entry.ModifiedTicks is { } ticks)
            {
                writer.Number(Zigzag(ticks - before));
                before = ticks;
            }
        foreach (var entry in Entries)
            if (entry.Profile is { } profile)
                writer.Number(profileNumbers[Sha256.Of(profile)]);
        writer.Number(Chunks.Count);
        foreach (var chunk in Chunks)
            writer.Number((int)chunk.Mode);
        foreach (var chunk in Chunks)
            writer.Number(chunk.Bytes);
        foreach (var chunk in Chunks)
            writer.Checksum(chunk.Checksum);
        foreach (var chunk in Chunks)
            writer.Checksum(chunk.PixelChecksum);
        return writer.ToArray();
    }

    /// <param name="bytes">Of an index.</param>
    /// <param name="maxPixels">Height times width a picture may have.</param>
    /// <exception cref="InvalidDataException">Not an index, or of a picture that is too large.</exception>
    public static LosslessIndex Read(ReadOnlySpan<byte> bytes, long maxPixels)
    {
        var reader = new IndexReader(bytes);
        var groupPixels = reader.Number(1, 1 << 24);
        var bandPixels = reader.Number(1, 1 << 24);
        var models = new ModelReference[reader.Number(0, 2)];
        for (var i = 0; i < models.Length; i++)
            models[i] = new(2 * reader.Number(0, 1) + 1, Convert.ToHexStringLower(reader.Raw(HashBytes)), reader.Number(0, int.MaxValue));
        var profiles = new byte[reader.Count()][];
        for (var i = 0; i < profiles.Length; i++)
            profiles[i] = reader.Bytes().ToArray();
        var count = Math.Min(reader.Count(), MostEntries + 1);
        if (count > MostEntries)
            throw new InvalidDataException($"expected at most {MostEntries} pictures");
        var flags = new int[count];
        var widths = new int[count];
        var heights = new int[count];
        foreach (ref var flag in flags.AsSpan())
            flag = reader.Number(0, 127);
        foreach (ref var width in widths.AsSpan())
            width = reader.Number(1, LosslessEntry.LargestSide);
        foreach (ref var height in heights.AsSpan())
            height = reader.Number(1, LosslessEntry.LargestSide);
        var names = new string?[count];
        for (var i = 0; i < count; i++)
            if ((flags[i] & 8) != 0)
                names[i] = Encoding.UTF8.GetString(reader.Bytes());
        var times = new long?[count];
        var before = 0L;
        for (var i = 0; i < count; i++)
            if ((flags[i] & 16) != 0)
                times[i] = before = Ticks(before, reader.Long());
        var entries = new LosslessEntry[count];
        for (var i = 0; i < count; i++)
        {
            if ((long)widths[i] * heights[i] > maxPixels)
                throw new InvalidDataException($"expected at most {maxPixels} pixels (--max-pixels), got {widths[i]} × {heights[i]}");
            entries[i] = new LosslessEntry
            {
                Name = names[i],
                Width = widths[i],
                Height = heights[i],
                Channels = (flags[i] & 1) != 0 ? 3 : 1,
                HasAlpha = (flags[i] & 2) != 0,
                IsGrayColor = (flags[i] & 5) == 5,
                IsWhole = (flags[i] & 64) != 0,
                ModifiedTicks = times[i],
                Profile = (flags[i] & 32) != 0 ? profiles[reader.Number(0, profiles.Length - 1)] : null,
            };
        }
        var chunks = new ChunkRecord[reader.Count()];
        foreach (ref var chunk in chunks.AsSpan())
            chunk = chunk with { Mode = (ChunkMode)reader.Number(0, 3) };
        foreach (ref var chunk in chunks.AsSpan())
            chunk = chunk with { Bytes = reader.Number(0, int.MaxValue) };
        foreach (ref var chunk in chunks.AsSpan())
            chunk = chunk with { Checksum = reader.Checksum() };
        foreach (ref var chunk in chunks.AsSpan())
            chunk = chunk with { PixelChecksum = reader.Checksum() };
        reader.End();
        return new LosslessIndex(groupPixels, bandPixels, models, entries, chunks);
    }

    private static long Ticks(long before, long coded)
    {
        var ticks = unchecked(before + ((long)((ulong)coded >> 1) ^ -(coded & 1)));
        return ticks >= 0 && ticks <= DateTime.MaxValue.Ticks ? ticks : throw new InvalidDataException("a time out of range");
    }

    private static long Zigzag(long value) => (value << 1) ^ (value >> 63);
}

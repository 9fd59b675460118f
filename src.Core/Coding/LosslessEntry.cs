namespace DQ.Core.Coding;

/// <summary>What a lossless file says about one of its pictures.</summary>
public sealed record LosslessEntry
{
    /// <summary>The longest side a picture may have.</summary>
    public const int LargestSide = 1 << 20;

    /// <summary>Relative path with '/', ending in .png or without; null where pictures are numbered, as in data sets.</summary>
    public string? Name { get; init; }

    /// <summary>Pixels across.</summary>
    public required int Width { get; init; }

    /// <summary>Pixels down.</summary>
    public required int Height { get; init; }

    /// <summary>1 (gray) or 3 (red, green, blue).</summary>
    public required int Channels { get; init; }

    /// <summary>Whether there is a plane of opacities too.</summary>
    public bool HasAlpha { get; init; }

    /// <summary>Whether the three channels are equal everywhere: then one is coded.</summary>
    public bool IsGrayColor { get; init; }

    /// <summary>Whether its colors stay in one chunk, up to a limit: for drawings, where what repeats may be far away.</summary>
    public bool IsWhole { get; init; }

    /// <summary>When the file was last changed, in ticks of 100 ns since the year 1, UTC; null where that is not known.</summary>
    public long? ModifiedTicks { get; init; }

    /// <summary>The ICC profile, as the picture's file had it.</summary>
    public byte[]? Profile { get; init; }

    /// <summary>Channels that are coded.</summary>
    internal int CodedChannels => IsGrayColor ? 1 : Channels;

    /// <summary>Bytes of its pixels: dimensions, where there is no alpha.</summary>
    public long RawBytes => (long)Width * Height * (Channels + (HasAlpha ? 1 : 0));
}

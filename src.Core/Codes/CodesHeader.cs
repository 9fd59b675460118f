using System.Text.Json;
using System.Text.Json.Serialization;
using DQ.Core.Artifacts;

namespace DQ.Core.Codes;

/// <summary>The codes of one level.</summary>
/// <param name="CodeCount">Code count K of a codebook.</param>
/// <param name="Codebooks">Number of codebooks M.</param>
/// <param name="Bits">Bits of one index, ⌈log2 K⌉.</param>
/// <param name="Cell">Width in pixels of the square of the image that belongs to one position of the grid.</param>
public sealed record CodesLevel([property: JsonPropertyName("codes")] int CodeCount, int Codebooks, int Bits, int Cell);

/// <summary>An image's own size. Its grids are those of the size padded to a multiple of the top level's cell.</summary>
public sealed record ImageSize(int Height, int Width);

/// <summary>The prior under which codes are coded.</summary>
/// <param name="Fingerprint">Of the frozen prior, 64 hexadecimal digits.</param>
/// <param name="Run">The run of the prior; null for a checkpoint outside of a run.</param>
public sealed record CodesPrior(string Fingerprint, string? Run);

/// <summary>The header of a codes file. Levels are listed bottom (finest) first.</summary>
public sealed record CodesHeader
{
    /// <summary>The schema version that this program writes and reads.</summary>
    public const int CurrentSchema = 1;

    private const int LargestSize = 1 << 16;
    private const int MostCodebooks = 1 << 16;
    private const long MostIndices = 1 << 28;

    private static readonly JsonSerializerOptions Json = new(ArtifactJson.Options) { WriteIndented = false };

    public int Schema { get; init; } = CurrentSchema;

    /// <summary><see cref="ModelFingerprint"/> of the model that made the codes.</summary>
    public required string Model { get; init; }

    /// <summary>The run of the model; null for a checkpoint outside of a run.</summary>
    public string? Run { get; init; }

    /// <summary>The prior of a file whose codes are coded under one; null and not written where they are packed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CodesPrior? Prior { get; init; }

    /// <summary>Channels of the images: 3 or 1.</summary>
    public required int Channels { get; init; }

    public required IReadOnlyList<CodesLevel> Levels { get; init; }

    /// <summary>Number of images.</summary>
    public required int Count { get; init; }

    /// <summary>One size for all images, or one per image.</summary>
    public required IReadOnlyList<ImageSize> Sizes { get; init; }

    /// <summary>File names of the images without folders, or none; then images are named by their numbers.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>The header of a file whose codes are coded under a prior.</summary>
    public CodesHeader Under(CodesPrior prior) => this with { Prior = prior };

    public ImageSize Size(int image) => Sizes[Sizes.Count == 1 ? 0 : image];

    /// <summary>The image's file name, or its number if images have no names.</summary>
    public string Name(int image) => Names.Count == 0 ? $"{image:D6}" : Names[image];

    /// <summary>Rows and columns of a level's grid for an image.</summary>
    public (int Height, int Width) Grid(int image, int level)
    {
        var (top, cell) = (Levels[^1].Cell, Levels[level].Cell);
        return (Padded(Size(image).Height), Padded(Size(image).Width));

        int Padded(int size) => (size + top - 1) / top * (top / cell);
    }

    /// <summary>Number of indices of a level for an image, M·H·W.</summary>
    /// <exception cref="OverflowException">The number is too large for one image.</exception>
    public int IndexCount(int image, int level)
    {
        var (height, width) = Grid(image, level);
        var count = (long)Levels[level].Codebooks * height * width;
        return count <= MostIndices ? (int)count : throw new OverflowException($"{count} indices of one image");
    }

    /// <summary>Bytes of an image's codes. Each level is padded to whole bytes.</summary>
    public long Bytes(int image)
    {
        var bytes = 0L;
        for (var level = 0; level < Levels.Count; level++)
            bytes = checked(bytes + PackedIndices.Bytes(IndexCount(image, level), Levels[level].Bits));
        return bytes;
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    /// <exception cref="InvalidDataException">The text is not such a header, or its numbers are inconsistent. The message does not name the
    /// file.</exception>
    public static CodesHeader Parse(byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            if (
                root.ValueKind != JsonValueKind.Object
                || !root.TryGetProperty("schema", out var schema)
                || !schema.TryGetInt32(out var version)
            )
                throw new InvalidDataException("header: expected an object with an integer 'schema'");
            if (version != CurrentSchema)
                throw new InvalidDataException($"schema version {version}; this program reads codes files of version {CurrentSchema}");
            var header = root.Deserialize<CodesHeader>(Json) ?? throw new InvalidDataException("header: expected an object, got null");
            return header.Problem() is { } problem ? throw new InvalidDataException($"header: {problem}") : header;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"header: not the JSON expected: {error.Message}", error);
        }
    }

    private string? Problem()
    {
        if (Model.Length != 64 || !Model.All(char.IsAsciiHexDigitLower))
            return "model: expected 64 hexadecimal digits";
        if (Prior is { } prior && (prior.Fingerprint is not { Length: 64 } hash || !hash.All(char.IsAsciiHexDigitLower)))
            return "prior.fingerprint: expected 64 hexadecimal digits";
        if (Channels is not (1 or 3))
            return $"channels: expected 1 or 3, got {Channels}";
        if (Levels.Count is < 1 or > 8 || Levels.Any(level => level is null))
            return "levels: expected 1 to 8";
        for (var level = 0; level < Levels.Count; level++)
        {
            var (codes, codebooks, bits, cell) = Levels[level];
            if (codes is < 1 or > 1 << 20 || bits != PackedIndices.Bits(codes))
                return $"levels[{level}]: expected 1 to {1 << 20} codes and the bits they need, got {codes} and {bits}";
            if (codebooks is < 1 or > MostCodebooks)
                return $"levels[{level}].codebooks: expected 1 to {MostCodebooks}, got {codebooks}";
            if (cell is < 1 or > LargestSize || Levels[^1].Cell % cell != 0)
                return $"levels[{level}].cell: expected a divisor of the top level's, got {cell}";
        }
        if (Count < 0 || Sizes.Count != 1 && Sizes.Count != Count)
            return $"sizes: expected one or {Count}, got {Sizes.Count}";
        if (Sizes.Any(size => size is not { Height: >= 1 and <= LargestSize, Width: >= 1 and <= LargestSize }))
            return $"sizes: expected heights and widths from 1 to {LargestSize}";
        if (Names.Count != 0 && Names.Count != Count)
            return $"names: expected none or {Count}, got {Names.Count}";
        return Names.All(IsPlain) && Names.Select(Path.GetFileNameWithoutExtension).Distinct(StringComparer.Ordinal).Count() == Names.Count
            ? null
            : "names: expected file names without folders, each once";
    }

    /// Decoding writes files with these names, so none may lead out of the folder.
    private static bool IsPlain(string? name) =>
        name is { Length: > 0 and <= 255 }
        && !name.Any(letter => letter is '/' or '\\' or ':' || char.IsControl(letter))
        && Path.GetFileNameWithoutExtension(name).Trim('.').Length > 0;
}

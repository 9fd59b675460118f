using System.Text.Json;
using System.Text.Json.Serialization;
using DQ.Core.Artifacts;
using DQ.Core.Codes;

namespace DQ.Core.Priors;

/// <summary>The shape of a prior over codes, and the model whose codes it is for.</summary>
public sealed record PriorSpec
{
    private const int LargestTable = 1 << 16;

    private static readonly JsonSerializerOptions Json = new(ArtifactJson.Options) { WriteIndented = false };

    /// <summary><see cref="ModelFingerprint"/> of the model that makes the codes.</summary>
    public required string Model { get; init; }

    /// <summary>The codes, bottom level first.</summary>
    public required IReadOnlyList<CodesLevel> Levels { get; init; }

    /// <summary>Number of rows above, and of columns on either side, that are read.</summary>
    public int Radius { get; init; } = 2;

    /// <summary>Numbers E by which the codes of a position are represented.</summary>
    public int Embedding { get; init; } = 32;

    /// <summary>Width of the hidden layers.</summary>
    public int Width { get; init; } = 128;

    /// <summary>Positions of the same level that are read: r rows of 2r + 1, and r to the left.</summary>
    [JsonIgnore]
    public int Neighbours => 2 * Radius * (Radius + 1);

    /// <summary>Inputs of a level's first layer: its own known neighbours; of each level above the position over it and the eight
    /// around that; and the place within the cell above.</summary>
    public int Inputs(int level)
    {
        var above = Levels.Count - 1 - level;
        return Embedding * (Neighbours + PriorPlaces.Around.Count * above + (above > 0 ? 1 : 0));
    }

    /// <summary>Positions of a level along one side of a position of a level above it.</summary>
    public int Ratio(int level, int above) => Levels[above].Cell / Levels[level].Cell;

    /// <summary>The problems of settings; the codes' shape is that of a model.</summary>
    public static IEnumerable<SpecProblem> Problems(int radius, int embedding, int width)
    {
        if (radius is < 1 or > 8)
            yield return new("radius", $"expected an integer from 1 to 8, got {radius}");
        if (embedding is < 1 or > 1024)
            yield return new("embedding", $"expected an integer from 1 to 1024, got {embedding}");
        if (width is < 1 or > 4096)
            yield return new("width", $"expected an integer from 1 to 4096, got {width}");
    }

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <param name="json">As <see cref="ToJson"/> wrote it.</param>
    /// <param name="where">Place of the text, for the message.</param>
    /// <exception cref="Formats.WeightsException">Not such a spec; the message names the place.</exception>
    public static PriorSpec Read(string json, string where)
    {
        try
        {
            var spec =
                JsonSerializer.Deserialize<PriorSpec>(json, Json)
                ?? throw new Formats.WeightsException($"{where}: expected an object, got null");
            return spec.Problem() is { } problem ? throw new Formats.WeightsException($"{where}: {problem}") : spec;
        }
        catch (JsonException error)
        {
            throw new Formats.WeightsException($"{where}: {error.Message}", error);
        }
    }

    private string? Problem()
    {
        if (Problems(Radius, Embedding, Width).FirstOrDefault() is { } problem)
            return $"{problem.Key}: {problem.Message}";
        if (Levels.Count is < 1 or > 8)
            return $"levels: expected 1 to 8, got {Levels.Count}";
        foreach (var (level, codes) in Levels.Index())
            if (codes.CodeCount is < 1 or > LargestTable || codes.Codebooks < 1 || codes.Cell < 1 || Levels[^1].Cell % codes.Cell != 0)
                return $"levels[{level}]: expected at most {LargestTable} codes per codebook, and cells that divide the top level's";
        return null;
    }
}

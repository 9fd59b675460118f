using System.Text.Json;
using DQ.Reports.Metrics;

namespace DQ.Reports.Charts;

/// <param name="Key">Name of a series; one that ends in a dot stands for all that begin so.</param>
/// <param name="Label">Empty for the only one.</param>
/// <param name="Scale">What values are shown times; null for as they are.</param>
/// <param name="Raw">Set by somebody, and not measured: never smoothed.</param>
public sealed record CurveKey(string Key, string Label, double? Scale = null, bool Raw = false);

/// <summary>A chart of curves.</summary>
/// <param name="Title">With its unit after a comma.</param>
/// <param name="Meaning">One sentence.</param>
/// <param name="Keys">What it draws.</param>
public sealed record CurvePlan(string Title, string Meaning, IReadOnlyList<CurveKey> Keys)
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    public string KeysJson => JsonSerializer.Serialize(Keys, Options);

    private static readonly CurvePlan[] First =
    [
        new("Loss", "What the optimizer minimizes: reconstruction or cross-entropy, + β · latent.", [new("loss", "training")]),
        new(
            "Reconstruction, nats/dim",
            "−log p(image | codes) per dimension; dashed on validation images.",
            [new("reconstruction_nats_per_dim", "training")]
        ),
        new("Squared error", "On normalized values; dashed on validation images.", [new("reconstruction_squared_error", "training")]),
        new("Accuracy, %", "Of validation images, those classified rightly.", [new("accuracy", "", Scale: 100)]),
        new("Cross-entropy, nats", "−log p(class | image); dashed on validation images.", [new("cross_entropy_nats", "training")]),
        new("Latent loss", "How far vectors are from their codes.", [new("latent", "training")]),
    ];

    private static readonly CurvePlan[] Last =
    [
        new("Learning rate", "Of the optimizer.", [new("learning_rate", "", Raw: true)]),
        new("Gradient norm", "Before clipping; a rising one announces trouble.", [new("gradient_norm", "")]),
        new("Speed, images/s", "Images trained on per second.", [new("images_per_second", "")]),
    ];

    /// <summary>The charts for which these series have numbers.</summary>
    /// <param name="names">Of the series.</param>
    /// <param name="several">Of several runs: one line each, also where each codebook has a number.</param>
    public static IReadOnlyList<CurvePlan> For(IReadOnlyCollection<string> names, bool several = false)
    {
        return
        [
            .. First.Where(plan => names.Contains(plan.Keys[0].Key)),
            .. PerLevel(names, several, Perplexity),
            .. PerLevel(names, several, Dead),
            .. PerLevel(names, several, Revived),
            .. Last.Where(plan => names.Contains(plan.Keys[0].Key)),
        ];
    }

    /// <summary>Of a level, by codebook.</summary>
    public static CurvePlan Perplexity(int level, bool several = false) =>
        new("Perplexity", $"Codes in effective use in one batch, {By(several)}.", [new($"perplexity.{level}.", "codebook")]);

    /// <inheritdoc cref="Perplexity"/>
    public static CurvePlan Dead(int level, bool several = false) =>
        new("Dead codes", $"Codes that no position chose since the line before, {By(several)}.", [new($"dead.{level}.", "codebook")]);

    /// <inheritdoc cref="Perplexity"/>
    public static CurvePlan Revived(int level, bool several = false) =>
        new(
            "Revived codes",
            $"Hardly used codes given a new place since the line before, {By(several)}.",
            [new($"revived.{level}.", "codebook")]
        );

    /// <summary>Names of series in a run's log.</summary>
    public static IReadOnlyCollection<string> Names(IReadOnlyDictionary<string, SeriesTable> tables) =>
        tables.Values.SelectMany(table => table.Names).ToHashSet();

    /// A chart for each level that a log has numbers of, such as <c>perplexity.0.3</c>.
    private static IEnumerable<CurvePlan> PerLevel(IReadOnlyCollection<string> names, bool several, Func<int, bool, CurvePlan> plan)
    {
        var kind = plan(0, several).Keys[0].Key.Split('.')[0];
        var levels = names
            .Where(name => name.StartsWith($"{kind}.", StringComparison.Ordinal))
            .Select(name => int.TryParse(name.Split('.')[1], out var level) ? level : -1)
            .Distinct()
            .Order()
            .ToArray();
        return levels.Select(level => Titled(plan(level, several), level, levels.Length));
    }

    private static CurvePlan Titled(CurvePlan plan, int level, int levels) => plan with { Title = plan.Title + Of(level, levels) };

    private static string By(bool several) => several ? "mean over a run's codebooks" : "by codebook";

    private static string Of(int level, int levels) =>
        levels < 2 ? ""
        : level == 0 ? ", level 0 (bottom)"
        : level == levels - 1 ? $", level {level} (top)"
        : $", level {level}";
}

using System.Text.Json.Nodes;
using DQ.Reports.Text;

namespace DQ.Reports.Catalog;

/// <summary>Settings of runs as columns of the table.</summary>
public static class RunSetting
{
    /// <summary>Before a setting's dotted key, in URLs.</summary>
    public const string Prefix = "setting:";

    /// <summary>Those that runs are mostly told apart by; the address takes any other too.</summary>
    public static IReadOnlyList<RunMetric> Offered { get; } =
    [
        .. (
            (string[])
                [
                    "seed",
                    "data.image_size",
                    "model.codebooks",
                    "model.codes",
                    "model.code_width",
                    "model.channels",
                    "model.residual_blocks",
                    "model.coder_blocks",
                    "training.steps",
                    "training.batch_size",
                    "training.learning_rate",
                ]
        ).Select(Of),
    ];

    /// <summary>Null for what is no setting's key.</summary>
    public static RunMetric? Find(string key) =>
        key.StartsWith(Prefix, StringComparison.Ordinal) && key.Length < 100 ? Of(key[Prefix.Length..]) : null;

    private static RunMetric Of(string key)
    {
        var path = key.Split('.');
        var place = path.Length > 1 ? string.Join(' ', path[..^1].Select(Show.Words)) : "run";
        return new(
            Prefix + key,
            Show.Words(path[^1]),
            "",
            place,
            $"The setting {key}.",
            Better.Neither,
            run => Number(run.Node(path)),
            Shown: run => Text(run.Node(path))
        );
    }

    /// <summary>To sort by: a list by what it sums to.</summary>
    internal static double? Number(JsonNode? node) =>
        node switch
        {
            JsonValue leaf when leaf.TryGetValue<double>(out var number) => number,
            JsonArray { Count: > 0 } list when list.Select(Number).ToArray() is var all && all.All(one => one is not null) => all.Sum(),
            _ => null,
        };

    internal static string Text(JsonNode? node) =>
        node switch
        {
            null => Show.Nothing,
            JsonValue leaf when leaf.TryGetValue<string>(out var text) => Show.Words(text),
            JsonArray list => string.Join(", ", list.Select(Text)),
            _ => node.ToJsonString(),
        };
}

using System.Text.Json;
using System.Text.Json.Nodes;

namespace DQ.Reports.Configuration;

/// <summary>A value of a configuration.</summary>
/// <param name="Key">Dotted path.</param>
/// <param name="Value">As JSON; null for a key that is not there.</param>
/// <param name="Default">As JSON; null where the key has none.</param>
/// <param name="Description">Empty where the key is unknown.</param>
public sealed record ConfigValue(string Key, string? Value, string? Default, string Description)
{
    public bool Differs => Default is not null && Value != Default && Key != "name";

    /// <summary>Texts without their quotes.</summary>
    public string Shown => Plain(Value);

    public string ShownDefault => Plain(Default);

    private static string Plain(string? json) =>
        json is null ? ""
        : json.StartsWith('"') ? json[1..^1].Replace("\\\"", "\"")
        : json;
}

/// <summary>Configurations as lists of dotted keys, beside their defaults from the configuration's JSON Schema.</summary>
public static class ConfigKeys
{
    private static readonly JsonSerializerOptions Compact = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly Dictionary<string, (string? Default, string Description)> Known = ReadSchema();

    /// <summary>Every key of a configuration, in its order.</summary>
    public static IReadOnlyList<ConfigValue> Of(JsonObject config) => [.. Leaves(config, "")];

    private static IEnumerable<ConfigValue> Leaves(JsonObject tree, string prefix)
    {
        foreach (var (name, node) in tree)
        {
            var key = prefix + name;
            if (node is JsonObject inner && prefix.Count(c => c == '.') < 8)
                foreach (var leaf in Leaves(inner, key + "."))
                    yield return leaf;
            else
            {
                var (fallback, description) = Known.GetValueOrDefault(key, (null, ""));
                yield return new(key, Text(node), fallback, description);
            }
        }
    }

    /// 1e-3 and 0.001 are the same number.
    private static string Text(JsonNode? node) =>
        node is JsonValue value && value.TryGetValue<double>(out var number)
            ? number.ToString("R", System.Globalization.CultureInfo.InvariantCulture)
            : node?.ToJsonString(Compact) ?? "null";

    private static Dictionary<string, (string?, string)> ReadSchema()
    {
        using var stream = typeof(ConfigKeys).Assembly.GetManifestResourceStream("dq.schema.json")!;
        var known = new Dictionary<string, (string?, string)>(StringComparer.Ordinal);
        Walk(JsonNode.Parse(stream)!.AsObject(), "", known);
        return known;
    }

    private static void Walk(JsonObject schema, string prefix, Dictionary<string, (string?, string)> known)
    {
        if (schema["properties"] is not JsonObject properties)
            return;
        foreach (var (name, node) in properties)
            if (node is JsonObject field)
            {
                known[prefix + name] = (
                    field.ContainsKey("default") ? Text(field["default"]) : null,
                    field["description"]?.GetValue<string>() ?? ""
                );
                Walk(field, $"{prefix}{name}.", known);
            }
    }
}

using System.Text.Json.Nodes;

namespace DQ.Reports.Configuration;

/// <summary>A key in which configurations differ.</summary>
/// <param name="Values">One per configuration; null where it has no such key.</param>
public sealed record ConfigDifference(string Key, IReadOnlyList<string?> Values, string Description)
{
    /// <summary>Every key whose values are not all the same.</summary>
    /// <param name="configs">Null where one can't be read.</param>
    public static IReadOnlyList<ConfigDifference> Of(IReadOnlyList<JsonObject?> configs)
    {
        var leaves = configs.Select(config => config is null ? [] : ConfigKeys.Of(config).ToDictionary(value => value.Key)).ToArray();
        return
        [
            .. leaves
                .SelectMany(config => config.Keys)
                .Distinct()
                .Select(key => new ConfigDifference(
                    key,
                    [.. leaves.Select(config => config.GetValueOrDefault(key)?.Shown)],
                    leaves.Select(config => config.GetValueOrDefault(key)?.Description).OfType<string>().First()
                ))
                .Where(difference => difference.Values.Distinct().Count() > 1),
        ];
    }
}

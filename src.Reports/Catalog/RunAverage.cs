using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using DQ.Core.Artifacts;

namespace DQ.Reports.Catalog;

/// <summary>Runs that are averaged: their settings are the same but for one, such as the seed.</summary>
/// <param name="Name">Their common name.</param>
/// <param name="Runs">At least one; in the order in which they were listed.</param>
public sealed record RunAverage(string Name, IReadOnlyList<RunEntry> Runs)
{
    public const string Seed = "seed";

    /// Settings without one of them, as text: by record, then by the setting left out.
    private static readonly ConditionalWeakTable<RunRecord, ConcurrentDictionary<string, string>> Known = [];

    /// <summary>Link texts and legends: <c>quickstart-dq × 3</c>; one run has its name.</summary>
    public string Label => Runs.Count == 1 ? Name : $"{Name} × {Runs.Count}";

    /// <summary>What the averages are on; empty where their images differ or are not known.</summary>
    public string ImagesId => Runs.Select(run => run.ImagesId).Distinct().ToArray() is [var id] ? id : "";

    /// <summary>In the order of each one's first run. A run whose record can't be read stays by itself.</summary>
    /// <param name="setting">Dotted key of the setting to average over.</param>
    public static IReadOnlyList<RunAverage> Of(IReadOnlyList<RunEntry> runs, string setting)
    {
        RunEntry[][] groups = [.. runs.GroupBy(run => Key(run, setting)).Select(group => group.ToArray())];
        // groups of one name are told apart by their first run
        var names = groups.Select(CommonName).ToArray();
        var namesakes = names.CountBy(name => name).Where(pair => pair.Value > 1).Select(pair => pair.Key).ToHashSet();
        return
        [
            .. groups.Zip(
                names,
                (group, name) => new RunAverage(namesakes.Contains(name) ? $"{name} · {group[0].Id.Split('-')[^1]}" : name, group)
            ),
        ];
    }

    private static string Key(RunEntry run, string setting)
    {
        if (run.Record is not { } record)
            return run.Id;
        return Known.GetOrCreateValue(record).GetOrAdd(setting, key => $"{record.Kind} {Without(record.Config, key)}");
    }

    /// The name says nothing of what was computed, and often has the seed in it.
    private static string Without(JsonObject config, string setting)
    {
        var rest = config.DeepClone().AsObject();
        rest.Remove("name");
        var path = setting.Split('.');
        JsonNode? parent = rest;
        foreach (var part in path[..^1])
            parent = (parent as JsonObject)?[part];
        (parent as JsonObject)?.Remove(path[^1]);
        return rest.ToJsonString();
    }

    private static string CommonName(RunEntry[] group)
    {
        if (group.Select(run => run.Name).Distinct().Count() == 1)
            return group[0].Name;
        string[][] words = [.. group.Select(run => run.Name.Split('-'))];
        var shared = words[0].TakeWhile((word, at) => words.All(one => one.ElementAtOrDefault(at) == word)).ToArray();
        return shared.Length > 0 ? string.Join('-', shared) : $"{group[0].Name} and others";
    }
}

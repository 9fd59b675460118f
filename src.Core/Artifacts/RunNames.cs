using System.Globalization;
using System.Text.RegularExpressions;

namespace DQ.Core.Artifacts;

/// <summary>A run as names know it.</summary>
/// <param name="Id">Folder name.</param>
/// <param name="Record">Null where it can't be read: such a run has no other name than its id.</param>
/// <param name="Archived">Then only its whole id means it.</param>
public sealed record NamedRun(string Id, RunRecord? Record, bool Archived)
{
    internal bool IsCompleted => Record?.Status == RunStatus.Completed;

    /// <summary>Name and variant together, as in the id.</summary>
    internal string Title =>
        Record switch
        {
            null => Id,
            { Variant: "" } record => RunNames.Slug(record.Name),
            var record => RunNames.Slug($"{record.Name}-{record.Variant}"),
        };

    internal DateTime Started => Record?.StartedUtc ?? DateTime.MinValue;
}

/// <summary>What a name means.</summary>
/// <param name="Run">Null where it means none, or not one.</param>
/// <param name="Text">Of a run: one line where others have the name too, else null. Without one: what was expected, and what there is.</param>
public sealed record NamedMatch(NamedRun? Run, string? Text);

/// <summary>
/// Which run a text means, the same in every command and on the site. An id comes first, then a title (name and variant), then
/// <c>latest</c>, <c>@2</c> (the second latest) and <c>TITLE@2</c>, then a part of an id. Of several runs of one title it is the latest
/// completed. Archived runs have no name but their ids. What was made from a run, such as a density of it, never makes a part of its id
/// ambiguous.
/// </summary>
public static partial class RunNames
{
    /// <summary>Ids listed where a text fits several.</summary>
    private const int Listed = 8;

    /// <summary>A name as it stands in ids.</summary>
    public static string Slug(string name) =>
        string.Concat(name.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' ? letter : '-'));

    /// <param name="text">As the user wrote it.</param>
    /// <param name="runs">All runs, in any order.</param>
    public static NamedMatch Find(string text, IReadOnlyList<NamedRun> runs)
    {
        if (runs.FirstOrDefault(run => run.Id == text) is { } exact)
            return new(exact, null);
        var live = runs.Where(run => !run.Archived).OrderByDescending(run => run.Started).ThenByDescending(run => run.Id).ToArray();
        if (OfTitle(text, live) is { Length: > 0 } titled)
            return Latest(text, titled);
        if (Place().Match(text) is { Success: true } place)
            return AtPlace(text, place, live);
        var fitting = live.Where(run => text.Length > 0 && run.Id.Contains(text, StringComparison.Ordinal)).ToArray();
        var originals = fitting.Where(run => !IsMadeFromOther(run, fitting)).ToArray();
        return originals switch
        {
            [] => new(null, $"expected a run whose name or id contains '{text}', found none; see dq runs list"),
            [var only] => new(only, null),
            _ when originals.Select(run => run.Title).Distinct().Count() == 1 => Latest(text, originals),
            _ => new(null, $"'{text}' fits several runs: {Ids(originals)}"),
        };
    }

    [GeneratedRegex(@"^(?:latest|(?<title>.*)@(?<place>\d{1,6}))$")]
    private static partial Regex Place();

    private static NamedRun[] OfTitle(string text, IEnumerable<NamedRun> live) =>
        [.. live.Where(run => run.Record is not null && run.Title == Slug(text))];

    /// The latest first.
    private static NamedMatch Latest(string text, NamedRun[] runs)
    {
        var run = runs.FirstOrDefault(run => run.IsCompleted) ?? runs[0];
        if (runs.Length == 1)
            return new(run, null);
        var which = run.IsCompleted ? "the latest completed" : "the latest, none is completed";
        return new(run, $"'{text}' is {runs.Length} runs: {run.Id} is taken, {which}");
    }

    private static NamedMatch AtPlace(string text, Match match, IEnumerable<NamedRun> live)
    {
        var title = match.Groups["title"].Value;
        var place = match.Groups["place"] is { Success: true } digits ? int.Parse(digits.Value, CultureInfo.InvariantCulture) : 1;
        var completed = (title.Length == 0 ? live : OfTitle(title, live)).Where(run => run.IsCompleted).ToArray();
        if (place >= 1 && place <= completed.Length)
            return new(completed[place - 1], $"'{text}' is {completed[place - 1].Id}");
        var named = title.Length == 0 ? "" : $" named '{title}'";
        return new(null, $"'{text}': expected a place from 1 to {completed.Length}, the completed runs{named} there are");
    }

    /// Of another kind, and made from one of these, directly or not.
    private static bool IsMadeFromOther(NamedRun run, NamedRun[] runs)
    {
        var (seen, open) = (new HashSet<string> { run.Id }, new Queue<NamedRun>([run]));
        while (open.TryDequeue(out var next))
            foreach (var parent in next.Record?.Parents.Where(parent => parent.Kind == "run") ?? [])
                if (seen.Add(parent.Id) && runs.FirstOrDefault(other => other.Id == parent.Id) is { } source)
                {
                    if (source.Record?.Kind != run.Record?.Kind)
                        return true;
                    open.Enqueue(source);
                }
        return false;
    }

    private static string Ids(NamedRun[] runs) =>
        string.Join(", ", runs.Take(Listed).Select(run => run.Id)) + (runs.Length > Listed ? $" and {runs.Length - Listed} more" : "");
}

using DQ.Reports.Catalog;
using DQ.Reports.Text;
using DQ.Reports.Urls;

namespace DQ.Reports.Charts;

/// <summary>Code rate against reconstruction, in bits per dimension: the two parts of what an image costs.</summary>
public static class RatePlane
{
    /// <param name="chosen">A group each.</param>
    /// <param name="others">Grouped by their quantizer.</param>
    /// <param name="name">Of a run among the others; null for its own name.</param>
    public static PlaneSpec Of(
        IReadOnlyList<RunEntry> chosen,
        IReadOnlyList<RunEntry> others,
        string split,
        Func<RunEntry, string>? name = null
    )
    {
        name ??= run => run.Name;
        var groups = RunLabels
            .Of(chosen)
            .Zip(chosen, (label, run) => new PlaneGroup(label, [.. Points([run], split, _ => label)]))
            .Concat(
                others.GroupBy(run => Show.Words(run.Method)).Select(group => new PlaneGroup(group.Key, [.. Points(group, split, name)]))
            )
            .Where(group => group.Points.Count > 0)
            .ToList();
        if (groups.Count > 0)
        {
            var runs = chosen.Concat(others).ToArray();
            groups.AddRange(
                PublishedPoints.For(runs.Select(run => run.Source).ToHashSet(), runs.Select(run => run.Likelihood).ToHashSet())
            );
        }
        return new()
        {
            Title = "Rate–distortion plane",
            XName = "code rate, bits/dim",
            YName = "reconstruction, bits/dim",
            Groups = groups,
            Diagonals = true,
            EmptyText =
                $"No run here has both numbers on the {split} split: it takes an evaluated run whose likelihood is not squared error.",
        };
    }

    private static IEnumerable<PlanePoint> Points(IEnumerable<RunEntry> runs, string split, Func<RunEntry, string> name)
    {
        foreach (var run in runs)
            if (run.Split(split) is { ReconstructionBitsPerDim: { } bits } found)
                yield return new(
                    found.CodeRateUniformBitsPerDim,
                    bits,
                    name(run),
                    $"uniform code rate; total with the empirical one {Show.Number(found.TotalEmpiricalBitsPerDim)} bits/dim",
                    Links.Run(run.Id)
                );
    }
}

using DQ.Reports.Catalog;
using DQ.Reports.Text;
using DQ.Reports.Urls;

namespace DQ.Reports.Charts;

/// <summary>Code rate against reconstruction, in bits per dimension: the two parts of what an image costs.</summary>
public static class RatePlane
{
    /// <param name="chosen">A group each.</param>
    /// <param name="others">Grouped by their quantizer.</param>
    public static PlaneSpec Of(IReadOnlyList<RunEntry> chosen, IReadOnlyList<RunEntry> others, string split)
    {
        var groups = chosen
            .Select(run => new PlaneGroup(run.Name, [.. Points([run], split)]))
            .Concat(others.GroupBy(run => Show.Words(run.Method)).Select(group => new PlaneGroup(group.Key, [.. Points(group, split)])))
            .Where(group => group.Points.Count > 0)
            .ToList();
        if (groups.Count > 0)
        {
            var runs = chosen.Concat(others).ToArray();
            groups.AddRange(
                PublishedPoints.For(runs.Select(run => run.Dataset).ToHashSet(), runs.Select(run => run.Likelihood).ToHashSet())
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

    private static IEnumerable<PlanePoint> Points(IEnumerable<RunEntry> runs, string split)
    {
        foreach (var run in runs)
            if (run.Split(split) is { ReconstructionBitsPerDim: { } bits } found)
                yield return new(
                    found.CodeRateUniformBitsPerDim,
                    bits,
                    run.Name,
                    $"uniform code rate; total with the empirical one {Show.Number(found.TotalEmpiricalBitsPerDim)} bits/dim",
                    Links.Run(run.Id)
                );
    }
}

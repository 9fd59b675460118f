using DQ.Reports.Catalog;
using DQ.Reports.Text;
using DQ.Reports.Urls;

namespace DQ.Reports.Charts;

/// <summary>Code rate against reconstruction, in bits per dimension: the two parts of what an image costs.</summary>
public static class RatePlane
{
    public const string Uniform = "uniform";
    public const string Empirical = "empirical";

    /// <summary>What the codes cost: at equal length, as published, or under the training images' frequencies.</summary>
    public static IReadOnlyList<(string Key, string Label)> Rates { get; } = [(Uniform, Uniform), (Empirical, Empirical)];

    /// <summary>Who is missing and why; empty where nobody is.</summary>
    public static string LeftOut(IEnumerable<RunEntry> runs, string split) =>
        runs.Count(run => run.Split(split) is { ReconstructionBitsPerDim: null }) switch
        {
            0 => "",
            1 => "One run is not here: squared error is no likelihood.",
            var count => $"{Show.Count(count)} runs are not here: squared error is no likelihood.",
        };

    /// <param name="chosen">A group each.</param>
    /// <param name="others">Grouped by their quantizer.</param>
    /// <param name="rate">One of <see cref="Rates"/>.</param>
    /// <param name="name">Of a run among the others; null for its own name.</param>
    public static PlaneSpec Of(
        IReadOnlyList<RunEntry> chosen,
        IReadOnlyList<RunEntry> others,
        string split,
        string rate = Uniform,
        Func<RunEntry, string>? name = null
    )
    {
        name ??= run => run.Name;
        var several = others.Select(run => run.Dataset).Distinct().Count() > 1;
        var groups = RunLabels
            .Of(chosen)
            .Zip(chosen, (label, run) => new PlaneGroup(label, [.. Points([run], split, rate, _ => label)]))
            .Concat(
                others
                    .GroupBy(run => (several ? $"{Show.Words(run.Dataset)} · " : "") + Show.Words(run.Method))
                    .Select(group => new PlaneGroup(group.Key, [.. Points(group, split, rate, name)]))
            )
            .Where(group => group.Points.Count > 0)
            .ToList();
        if (groups.Count > 0 && rate == Uniform)
        {
            var runs = chosen.Concat(others).ToArray();
            groups.AddRange(
                PublishedPoints.For(runs.Select(run => run.Source).ToHashSet(), runs.Select(run => run.Likelihood).ToHashSet())
            );
        }
        return new()
        {
            Title = "Rate–distortion plane",
            XName = $"{rate} code rate, bits/dim",
            YName = "reconstruction, bits/dim",
            Groups = groups,
            Diagonals = true,
            EmptyText =
                $"No run here has both numbers on the {split} split: it takes an evaluated run whose likelihood is not squared error.",
        };
    }

    private static IEnumerable<PlanePoint> Points(IEnumerable<RunEntry> runs, string split, string rate, Func<RunEntry, string> name)
    {
        foreach (var run in runs)
            if (run.Split(split) is { ReconstructionBitsPerDim: { } bits } found)
                if ((rate == Uniform ? found.CodeRateUniformBitsPerDim : found.CodeRateEmpiricalBitsPerDim) is { } codes)
                    yield return new(codes, bits, name(run), $"{Show.Words(run.Dataset)}, {split} images", Links.Run(run.Id));
    }
}

using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Charts;
using DQ.Reports.Text;
using DQ.Reports.Urls;

namespace DQ.Reports.Classification;

/// <summary>Charts of classifiers.</summary>
public static class ClassificationCharts
{
    /// <summary>Which classes are taken for which: shares of each true class's images, a row each.</summary>
    public static HeatmapSpec Confusion(SplitClassification split, IReadOnlyList<string> classes, string name) =>
        new()
        {
            Title = $"Confusion on {name}",
            X = classes,
            Y = classes,
            XName = "classified as",
            YName = "class",
            Values =
            [
                .. split.Confusion.Select(
                    IReadOnlyList<double?> (row) =>
                    {
                        var images = row.Sum();
                        return [.. row.Select(count => images == 0 ? (double?)null : 100.0 * count / images)];
                    }
                ),
            ],
            Low = 0,
            High = 100,
            Unit = "%",
        };

    /// <summary>
    /// A point per classifier with codes: what an image's codes cost, and how many images they tell rightly. The best without codes is a line.
    /// </summary>
    /// <param name="runs">Classifiers of one data set and split.</param>
    /// <param name="chosen">Its point is a group of its own.</param>
    public static PlaneSpec AccuracyAgainstBits(IEnumerable<RunEntry> runs, RunEntry chosen) =>
        new()
        {
            Title = "Accuracy against bits",
            XName = "bits per image, uniform",
            YName = "accuracy, %",
            Groups =
            [
                .. runs.Where(run => run.Classifier?.Classification?.BitsPerImageUniform is not null)
                    .GroupBy(run => run.Id == chosen.Id ? $"{run.Name} (this run)" : Show.Words(run.Method))
                    .Select(group => new PlaneGroup(group.Key, [.. group.Select(Point)])),
            ],
            Levels =
            [
                .. runs.Where(run => run.Classifier?.Classification is { BitsPerImageUniform: null })
                    .OrderByDescending(run => run.Classifier!.Classification!.Accuracy)
                    .Take(1)
                    .Select(run => new PlaneLevel(100 * run.Classifier!.Classification!.Accuracy, $"{run.Name}, not quantized:")),
            ],
            EmptyText = "No classifier here has codes: without them there are no bits to count.",
        };

    private static PlanePoint Point(RunEntry run)
    {
        var headline = run.Classifier!.Classification!;
        return new(
            headline.BitsPerImageUniform!.Value,
            100 * headline.Accuracy,
            run.Name,
            $"{Show.Count(headline.Images)} images of {headline.Split}, step {Show.Count(headline.Step)}",
            Links.Run(run.Id)
        );
    }
}

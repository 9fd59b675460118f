using DQ.Core.Artifacts;
using DQ.Reports.Charts;

namespace DQ.Reports.Chains;

/// <summary>How good a chain's models were at its last size along the way, beside training at that size alone.</summary>
public static class ChainPlot
{
    public const string Work = "work";
    public const string Seconds = "seconds";

    public static IReadOnlyList<(string Key, string Label)> Axes { get; } = [(Work, "Multiply-adds"), (Seconds, "Time")];

    /// <param name="axis">One of <see cref="Axes"/>.</param>
    public static LinesSpec Of(ChainRecord chain, string axis)
    {
        ChainStageRecord[] all = [.. chain.Stages, .. chain.Scratch is { } one ? [one] : Array.Empty<ChainStageRecord>()];
        var nats = all.SelectMany(stage => stage.Points).Any(point => point.ReconstructionNatsPerDim is not null);
        var (scale, unit) = axis == Seconds ? (1, "seconds of training") : Scale(all);
        double Place(ChainPoint point) => (axis == Seconds ? point.TrainingSeconds : point.TrainingMultiplyAdds) / scale;
        double Length(ChainStageRecord stage) => (axis == Seconds ? stage.TrainingSeconds : stage.TrainingMultiplyAdds) / scale;
        IReadOnlyList<double?[]> Points(IEnumerable<ChainStageRecord> stages) =>
            [
                .. stages
                    .SelectMany(stage => stage.Points)
                    .Select(point => new[] { Place(point), nats ? point.ReconstructionNatsPerDim : point.ReconstructionSquaredError })
                    .Where(point => point[1] is not null),
            ];

        var marks = new List<LineMark>();
        var begin = 0.0;
        foreach (var stage in chain.Stages)
        {
            marks.Add(new(begin, $"{stage.ImageSize} px"));
            begin += Length(stage);
        }
        Line[] lines =
        [
            new("growing sizes", Points(chain.Stages)),
            .. chain.Scratch is { } scratch
                ? [new Line($"{chain.ImageSize} px from scratch", Points([scratch]), Dashed: true)]
                : Array.Empty<Line>(),
        ];
        var measure = nats ? "reconstruction, nats/dim" : "squared error";
        return new()
        {
            Title = $"At {chain.ImageSize} px: {measure}",
            XName = unit,
            YName = measure,
            Series = lines,
            Marks = marks,
        };
    }

    private static (double Scale, string Unit) Scale(IEnumerable<ChainStageRecord> stages) =>
        stages.Sum(stage => stage.TrainingMultiplyAdds) switch
        {
            >= 1e15 => (1e15, "10¹⁵ multiply-adds of training"),
            >= 1e12 => (1e12, "10¹² multiply-adds of training"),
            _ => (1e9, "10⁹ multiply-adds of training"),
        };
}

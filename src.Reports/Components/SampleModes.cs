using DQ.Core.Artifacts;

namespace DQ.Reports.Components;

/// <summary>Ways to look at a reconstruction.</summary>
public static class SampleModes
{
    public const string Slider = "slider";
    public const string Side = "side";

    /// <summary>All steps of training side by side.</summary>
    public const string Steps = "steps";

    /// <summary>In the query.</summary>
    public const string Parameter = "mode";

    /// <summary>How much brighter a difference is shown, in the query.</summary>
    public const string Gain = "gain";
    public const string DefaultGain = "3";

    public static IReadOnlyList<(string Key, string Label)> Gains { get; } = [("1", "× 1"), (DefaultGain, "× 3"), ("10", "× 10")];

    public static IReadOnlyList<(string Key, string Label)> All { get; } =
    [(Slider, "Before / after"), (Side, "Original, reconstruction, difference"), (Steps, "Step by step")];

    /// <summary>What a view is, in words.</summary>
    public static string NameOf(SampleView view) =>
        view.Kind switch
        {
            SampleView.OriginalKind => "original",
            SampleView.FullKind => "all levels",
            SampleView.LevelsKind when view.Levels.Count == 1 => $"level {view.Levels[0]} alone",
            SampleView.LevelsKind => $"levels {string.Join(", ", view.Levels)}",
            _ when view.Without is { } place => $"without codebook {place.Codebook} of level {place.Level}",
            _ => view.Name,
        };
}

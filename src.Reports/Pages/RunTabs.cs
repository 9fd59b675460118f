using DQ.Core.Artifacts;
using DQ.Reports.Catalog;

namespace DQ.Reports.Pages;

/// <summary>Parts of a run's page, each with an address.</summary>
public static class RunTabs
{
    public const string Overview = "";
    public const string Reconstructions = "reconstructions";
    public const string Codebooks = "codebooks";
    public const string Allocation = "allocation";
    public const string Classification = "classification";
    public const string Settings = "settings";
    public const string Files = "files";

    public static IReadOnlyList<(string Key, string Label)> All { get; } =
    [(Overview, "Overview"), (Reconstructions, "Reconstructions"), (Codebooks, "Codebooks"), (Settings, "Settings"), (Files, "Files")];

    /// <summary>A classifier has no reconstructions, and its codebooks stand with its numbers.</summary>
    private static readonly IReadOnlyList<(string Key, string Label)> OfClassifier =
    [
        (Overview, "Overview"),
        (Classification, "Classification"),
        (Settings, "Settings"),
        (Files, "Files"),
    ];

    /// <summary>Nor has an allocation, whose overview is its numbers.</summary>
    private static readonly IReadOnlyList<(string Key, string Label)> OfAllocation =
    [
        (Allocation, "Allocation"),
        (Settings, "Settings"),
        (Files, "Files"),
    ];

    /// <summary>What was measured without training a model, and a prior, have neither pictures nor codebooks of their own.</summary>
    private static readonly IReadOnlyList<(string Key, string Label)> OfMeasurement =
    [
        (Overview, "Overview"),
        (Settings, "Settings"),
        (Files, "Files"),
    ];

    /// <summary>Those of a run.</summary>
    public static IReadOnlyList<(string Key, string Label)> Of(RunEntry run) =>
        run.Record?.Kind switch
        {
            RunKind.Classify => OfClassifier,
            RunKind.Allocate => OfAllocation,
            RunKind.Density or RunKind.Intervals or RunKind.Prior => OfMeasurement,
            _ => All,
        };
}

using DQ.Core.Artifacts;

namespace DQ.Reports.Catalog;

/// <summary>A split of an evaluation beside a run's own: on other images, or with other settings.</summary>
/// <param name="Dataset">Folder name of its images.</param>
/// <param name="Limit">At most this many images of a split, the first ones; null for all.</param>
/// <param name="Split">Name of the split.</param>
/// <param name="Images">Images of it.</param>
/// <param name="ReconstructionNatsPerDim">Null for a classifier, and for squared error.</param>
/// <param name="PsnrDb">Null for a classifier.</param>
/// <param name="Accuracy">Null for an autoencoder.</param>
public sealed record OtherEvaluation(
    string Dataset,
    int? Limit,
    string Split,
    long Images,
    double? ReconstructionNatsPerDim,
    double? PsnrDb,
    double? Accuracy
)
{
    public static IEnumerable<OtherEvaluation> Of(EvaluationRecord record) =>
        record.Splits.Select(split => new OtherEvaluation(
            record.Dataset ?? "",
            record.Limit,
            split.Key,
            split.Value.Images,
            split.Value.ReconstructionNatsPerDim,
            split.Value.PsnrDb,
            null
        ));

    public static IEnumerable<OtherEvaluation> Of(ClassificationRecord record) =>
        record.Splits.Select(split => new OtherEvaluation(
            record.Dataset,
            record.Limit,
            split.Key,
            split.Value.Images,
            null,
            null,
            split.Value.Accuracy
        ));
}

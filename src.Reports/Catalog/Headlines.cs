namespace DQ.Reports.Catalog;

/// <summary>The few numbers a run is known by.</summary>
public static class Headlines
{
    private static readonly string[] OfLikelihood =
    [
        "reconstruction_nats_per_dim",
        "reconstruction_bits_per_dim",
        "code_rate_empirical_bits_per_dim",
        "total_empirical_bits_per_dim",
        "psnr_db",
    ];

    /// Squared error is no likelihood: it has no nats and no total.
    private static readonly string[] OfSquaredError =
    [
        "normalized_squared_error",
        "psnr_db",
        "ssim",
        "code_rate_uniform_bits_per_dim",
        "code_rate_empirical_bits_per_dim",
    ];

    /// <summary>Of a classifier, in its own split.</summary>
    public static IReadOnlyList<RunMetric> OfClassifier { get; } =
    [
        .. ((string[])["accuracy_percent", "validation_accuracy_percent", "bits_per_image_uniform", "parameters", "images_per_second"])
            .Select(RunMetric.Find)
            .OfType<RunMetric>(),
    ];

    /// <summary>By split evaluated, validation before test.</summary>
    public static IReadOnlyList<(string Split, IReadOnlyList<RunMetric> Numbers)> Of(RunEntry run) =>
        [
            .. ((string[])["validation", "test"])
                .Where(split => run.Split(split) is not null)
                .Select(split =>
                    (
                        split,
                        (IReadOnlyList<RunMetric>)
                            [
                                .. (run.Split(split)!.ReconstructionNatsPerDim is null ? OfSquaredError : OfLikelihood)
                                    .Select(key => RunMetric.Find($"{split}_{key}"))
                                    .OfType<RunMetric>(),
                            ]
                    )
                ),
        ];
}

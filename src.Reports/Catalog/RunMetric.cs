using DQ.Core.Artifacts;
using DQ.Reports.Statistics;
using DQ.Reports.Text;

namespace DQ.Reports.Catalog;

/// <summary>Which way a metric improves.</summary>
public enum Better
{
    Neither,
    Lower,
    Higher,
}

/// <summary>A number of a run: the one list that table columns, headlines, comparisons and exports take theirs from.</summary>
/// <param name="Key">In URLs and files; carries the unit.</param>
/// <param name="Title">Short.</param>
/// <param name="Unit">Empty for a share or a count.</param>
/// <param name="Group">Where it belongs: a split, or <c>run</c>.</param>
/// <param name="Meaning">One sentence.</param>
/// <param name="Better">Which way it improves.</param>
/// <param name="Value">Null where the run has none.</param>
/// <param name="Format">Of the number; null for the usual.</param>
/// <param name="Shown">The text where it is not that of the number, as of a list; null for the number's.</param>
public sealed record RunMetric(
    string Key,
    string Title,
    string Unit,
    string Group,
    string Meaning,
    Better Better,
    Func<RunEntry, double?> Value,
    string? Format = null,
    Func<RunEntry, string>? Shown = null
)
{
    /// <summary>As <see cref="Format"/>: seconds in the unit that suits them.</summary>
    private const string Duration = "duration";

    public string Text(RunEntry run) =>
        (Value(run), Format) switch
        {
            _ when Shown is not null => Shown(run),
            (var value, null) => Show.Number(value),
            ({ } seconds, Duration) => Show.Duration(seconds),
            (var value, Duration) => Show.Number(value),
            var (value, format) => Show.Number(value, format),
        };

    /// <summary>Of runs that are averaged: mean ± sample deviation; of a setting, every value that one of them has.</summary>
    public string Text(IReadOnlyList<RunEntry> runs) =>
        Shown is not null ? string.Join("; ", runs.OrderBy(Value).Select(Shown).Distinct())
        : Sample.Of(runs.Select(Value)) is not { } sample ? Show.Nothing
        : Format is null ? Show.Spread(sample.Mean, sample.Deviation)
        : sample.Deviation is { } deviation ? $"{Formatted(sample.Mean)} ± {Formatted(deviation)}"
        : Formatted(sample.Mean);

    private string Formatted(double value) => Format == Duration ? Show.Duration(value) : Show.Number(value, Format!);

    /// <summary>Compares whatever the images.</summary>
    public bool OnAnyImages => Key == "images_per_second";

    /// <summary>With the unit of its number, also where the text has its own.</summary>
    public string Named => $"{Title}{(Format == Duration ? ", s" : Unit.Length > 0 ? $", {Unit}" : "")}";

    /// <summary>Unit and split, as <c>nats/dim, test</c>.</summary>
    public string Place => string.Join(", ", ((string[])[Unit, Group == "run" ? "" : Group]).Where(part => part.Length > 0));

    /// <summary>With group and unit: <c>reconstruction (test), nats/dim</c>.</summary>
    public string FullTitle => $"{Title}{(Group == "run" ? "" : $" ({Group})")}{(Unit.Length == 0 ? "" : $", {Unit}")}";

    public static IReadOnlyList<RunMetric> All { get; } =
    [
        .. OfSplit("validation"),
        .. OfSplit("test"),
        new(
            "accuracy_percent",
            "accuracy",
            "%",
            "run",
            "Share of images classified rightly, on the split last evaluated: test where there is one.",
            Better.Higher,
            run => 100 * run.Classifier?.Classification?.Accuracy,
            "0.00"
        ),
        new(
            "validation_accuracy_percent",
            "last validation accuracy",
            "%",
            "run",
            "Share of the validation images classified rightly at the end of training.",
            Better.Higher,
            run => 100 * run.Classifier?.ValidationAccuracy,
            "0.00"
        ),
        new(
            "bits_per_image_uniform",
            "class codes",
            "bits/image",
            "run",
            "What the codes that a classifier decides by cost at equal length.",
            Better.Neither,
            run => run.Classifier?.Classification?.BitsPerImageUniform,
            "0.#"
        ),
        new(
            "training_validation_nats_per_dim",
            "last validation",
            "nats/dim",
            "run",
            "Reconstruction on the first validation images, while training.",
            Better.Lower,
            run => run.Autoencoder?.ValidationReconstructionNatsPerDim
        ),
        new(
            "training_validation_squared_error",
            "last validation error",
            "",
            "run",
            "Squared error on normalized values on the first validation images, while training.",
            Better.Lower,
            run => run.Autoencoder?.ValidationSquaredError
        ),
        new(
            "parameters",
            "parameters",
            "",
            "run",
            "Trainable, codebooks not counted.",
            Better.Neither,
            run => run.Trained?.Parameters,
            "N0"
        ),
        new("steps_done", "steps", "", "run", "Training steps done.", Better.Neither, run => run.Record?.StepsDone, "N0"),
        new(
            "images_seen",
            "images seen",
            "",
            "run",
            "Images trained on, each time counted.",
            Better.Neither,
            run => run.Trained?.ImagesSeen,
            "N0"
        ),
        new(
            "images_per_second",
            "speed",
            "images/s",
            "run",
            "Images trained on per second of training steps.",
            Better.Higher,
            run => run.Trained?.ImagesPerSecond,
            "N1"
        ),
        new(
            "training_seconds",
            "training time",
            "",
            "run",
            "Time spent in training steps, over all interruptions.",
            Better.Neither,
            run => run.Trained is { Seconds: > 0 and var seconds } ? seconds : null,
            Duration
        ),
    ];

    /// <summary>A metric, or a setting by its dotted key after <see cref="RunSetting.Prefix"/>.</summary>
    public static RunMetric? Find(string key) => All.FirstOrDefault(metric => metric.Key == key) ?? RunSetting.Find(key);

    private static IEnumerable<RunMetric> OfSplit(string split)
    {
        RunMetric Of(
            string key,
            string title,
            string unit,
            string meaning,
            Better better,
            Func<SplitEvaluation, double?> value,
            string? format = null
        ) => new($"{split}_{key}", title, unit, split, meaning, better, run => run.Split(split) is { } found ? value(found) : null, format);

        yield return Of(
            "reconstruction_nats_per_dim",
            "reconstruction",
            "nats/dim",
            "−log p(image | codes) per channel of a pixel: what the decoder leaves to be said once the codes are known.",
            Better.Lower,
            found => found.ReconstructionNatsPerDim
        );
        yield return Of(
            "reconstruction_bits_per_dim",
            "reconstruction",
            "bits/dim",
            "The same in bits: nats / ln 2.",
            Better.Lower,
            found => found.ReconstructionBitsPerDim
        );
        yield return Of(
            "code_rate_uniform_bits_per_dim",
            "code rate, uniform",
            "bits/dim",
            "What the codes cost when each is stored at equal length, log₂ K bits.",
            Better.Neither,
            found => found.CodeRateUniformBitsPerDim
        );
        yield return Of(
            "code_rate_empirical_bits_per_dim",
            "code rate, empirical",
            "bits/dim",
            "What the codes cost under the training images' code frequencies: a length one could really pay.",
            Better.Neither,
            found => found.CodeRateEmpiricalBitsPerDim
        );
        yield return Of(
            "total_uniform_bits_per_dim",
            "total, uniform",
            "bits/dim",
            "Reconstruction + uniform code rate: an upper bound on −log₂ p(image).",
            Better.Lower,
            found => found.TotalUniformBitsPerDim
        );
        yield return Of(
            "total_empirical_bits_per_dim",
            "total, empirical",
            "bits/dim",
            "Reconstruction + empirical code rate: what a lossless file would cost. Only totals compare with other likelihood models.",
            Better.Lower,
            found => found.TotalEmpiricalBitsPerDim
        );
        yield return Of(
            "psnr_db",
            "PSNR",
            "dB",
            "How close the mean picture is: of each image, at most 100 dB, averaged over images; 3 dB more is half the squared error.",
            Better.Higher,
            found => found.PsnrDb
        );
        yield return Of(
            "ssim",
            "SSIM",
            "",
            "Structural similarity of the mean picture, 1 for the same: 11×11 Gaussian windows inside the image, σ 1.5, range 255.",
            Better.Higher,
            found => found.Ssim
        );
        yield return Of(
            "mean_squared_error",
            "squared error",
            "",
            "Of the mean picture, pixels scaled to 0 … 1.",
            Better.Lower,
            found => found.MeanSquaredError
        );
        yield return Of(
            "normalized_squared_error",
            "normalized error",
            "",
            "Squared error on normalized values: the loss that squared error trains on.",
            Better.Lower,
            found => found.NormalizedSquaredError
        );
        yield return Of(
            "perplexity",
            "perplexity",
            "codes",
            "Codes in effective use, exp(entropy), mean over all codebooks.",
            Better.Higher,
            found => found.Levels.SelectMany(level => level.Codebooks).Select(book => (double?)book.Perplexity).Average()
        );
        yield return Of(
            "usage_percent",
            "usage",
            "%",
            "Share of codes chosen at least once, mean over all codebooks.",
            Better.Higher,
            found => 100 * found.Levels.SelectMany(level => level.Codebooks).Select(book => (double?)book.Usage).Average(),
            "0.0"
        );
    }
}

using System.Text.Json.Nodes;

namespace DQ.Core.Artifacts;

/// <summary><c>density.json</c>: quantizers trained alone on a network's features, cut by channels or by pixels, for several
/// seeds.</summary>
public sealed record DensityRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>The network, such as <c>vgg16</c>.</summary>
    public required string Features { get; init; }

    /// <summary>Channels C of the features.</summary>
    public required int Channels { get; init; }

    /// <summary>Size H of the features, and number of codebooks.</summary>
    public required int Side { get; init; }

    /// <summary>Width D of a code, with the padding.</summary>
    public required int Width { get; init; }

    /// <summary>Folder name of the data set under <c>datasets/</c>.</summary>
    public required string Dataset { get; init; }

    /// <summary>Number of images, the first of the train split, from which the quantizers learned.</summary>
    public required int TrainImages { get; init; }

    /// <summary>Split of the images on which they were measured.</summary>
    public required string TestSplit { get; init; }

    /// <summary>Number of these images, the first of the split.</summary>
    public required int TestImages { get; init; }

    /// <summary>How the quantizers were trained.</summary>
    public required DensityTrainingRecord Training { get; init; }

    /// <summary>Number of seeds per row when the record is complete.</summary>
    public required int Seeds { get; init; }

    public required IReadOnlyList<DensityRow> Rows { get; init; }
}

/// <summary>How the quantizers were trained.</summary>
/// <param name="Quantizer">Its specification, with every key.</param>
/// <param name="Steps">Number of updates of the codes.</param>
/// <param name="BatchSize">Images per update; all images if there are fewer.</param>
public sealed record DensityTrainingRecord(JsonObject Quantizer, int Steps, int BatchSize);

/// <summary>Results for one way to cut and one K.</summary>
public sealed record DensityRow
{
    /// <summary><c>channel</c> or <c>pixel</c>.</summary>
    public required string Slicing { get; init; }

    /// <summary>Code count K.</summary>
    public required int Codes { get; init; }

    /// <summary>Results by seed, from 0.</summary>
    public required IReadOnlyList<DensityEstimate> Runs { get; init; }

    public Spread MeanL2Error => Spread.Of(Runs.Select(run => run.MeanL2Error));

    public Spread MeanSquaredError => Spread.Of(Runs.Select(run => run.MeanSquaredError));

    public Spread EntropyNats => Spread.Of(Runs.Select(run => run.EntropyNats));

    /// <summary>The paper's numbers for VGG-16 on ImageNet; null for another K.</summary>
    public PublishedDensity? Published => PublishedDensity.Find(Slicing, Codes);
}

/// <summary>Results of trained quantizers on features that they did not learn from.</summary>
/// <param name="MeanL2Error">Mean over vectors of the Euclidean distance to their codes.</param>
/// <param name="MeanSquaredError">Mean over vectors and channels, with the padding.</param>
/// <param name="EntropyNats">Entropy of the codes from their counts (paper, equation 7), mean over codebooks.</param>
/// <param name="Usage">Share of codes chosen at least once, mean over codebooks.</param>
public sealed record DensityEstimate(double MeanL2Error, double MeanSquaredError, double EntropyNats, double Usage);

/// <param name="Mean">Mean over seeds.</param>
/// <param name="Deviation">Standard deviation of the sample (n − 1); null for fewer than two.</param>
public sealed record Spread(double? Mean, double? Deviation)
{
    public static Spread Of(IEnumerable<double> values)
    {
        var all = values.ToArray();
        if (all.Length == 0)
            return new(null, null);
        var mean = all.Average();
        return new(mean, all.Length < 2 ? null : Math.Sqrt(all.Sum(value => (value - mean) * (value - mean)) / (all.Length - 1)));
    }
}

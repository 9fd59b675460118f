using System.Globalization;
using System.Text;

namespace DQ.Core.Artifacts;

/// <summary><c>allocation.json</c>: bits of feature channels by several methods, and the resulting error of the network's output.</summary>
public sealed record AllocationRecord : IArtifact
{
    /// <summary>The method with which the others are compared: all channels have equal bits.</summary>
    public const string EqualBits = "equal";

    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>The network: its name and a hash of its content, such as <c>resnet18-5c106cde386e</c>.</summary>
    public required string Network { get; init; }

    /// <summary>The layer whose output is quantized.</summary>
    public required string Layer { get; init; }

    /// <summary>Channels C of that output.</summary>
    public required int Channels { get; init; }

    /// <summary>Rows of that output.</summary>
    public required int Height { get; init; }

    /// <summary>Columns of that output.</summary>
    public required int Width { get; init; }

    /// <summary>Name of the quantizer, such as <c>uniform</c>.</summary>
    public required string Quantizer { get; init; }

    /// <summary>Folder name of the data set under <c>datasets/</c>.</summary>
    public required string Dataset { get; init; }

    /// <summary>Number of training images from which intervals and allocations were computed.</summary>
    public required int CalibrationImages { get; init; }

    /// <summary>Split of the images on which they were measured.</summary>
    public required string TestSplit { get; init; }

    /// <summary>Number of these images.</summary>
    public required int TestImages { get; init; }

    /// <summary>Settings of the greedy allocation.</summary>
    public required GreedySettings Greedy { get; init; }

    /// <summary>Mean square of the unquantized network's outputs on the test images.</summary>
    public required double OutputPower { get; init; }

    /// <summary>Accuracy of the unquantized network on the test images; null without labels.</summary>
    public double? Accuracy { get; init; }

    /// <summary>One point per method and average, in the order in which they were made.</summary>
    public required IReadOnlyList<AllocationPoint> Points { get; init; }

    /// <summary>The small case; null if it is not done or not configured.</summary>
    public SmallCase? SmallCase { get; init; }

    /// <summary>Images with their own allocation.</summary>
    public required IReadOnlyList<ImageAllocation> Images { get; init; }

    /// <summary>Rate of every other method, relative to equal bits at the same output error; computed from <see cref="Points"/>.</summary>
    public IReadOnlyList<RateSaving> Savings =>
        [
            .. Points
                .Select(point => point.Method)
                .Distinct()
                .Where(method => method != EqualBits)
                .Select(method => new RateSaving(
                    method,
                    Saving(method, point => point.AverageBits),
                    Saving(method, point => point.Test.EntropyCodedBitsPerValue)
                )),
        ];

    /// <summary>The record with one more point.</summary>
    public AllocationRecord With(AllocationPoint point) => this with { Points = [.. Points, point] };

    /// <summary>The record with the small case.</summary>
    public AllocationRecord With(SmallCase smallCase) => this with { SmallCase = smallCase };

    /// <summary>The record with one more image.</summary>
    public AllocationRecord With(ImageAllocation image) => this with { Images = [.. Images, image] };

    /// <summary>The points as CSV: one line per point, without the channels' bits.</summary>
    public string Csv()
    {
        var text = new StringBuilder(
            "method,average_bits,calibration_output_squared_error,output_squared_error,output_snr_db,feature_squared_error,top1_agreement,accuracy,"
                + "entropy_coded_bits_per_value,side_information_bits,evaluations,seconds\n"
        );
        foreach (var point in Points)
            text.Append(
                CultureInfo.InvariantCulture,
                $"{point.Method},{point.AverageBits},{point.CalibrationOutputSquaredError},{point.Test.OutputSquaredError},"
                    + $"{OutputSnrDb(point)},{point.Test.FeatureSquaredError},{point.Test.Top1Agreement},{point.Test.Accuracy},"
                    + $"{point.Test.EntropyCodedBitsPerValue},{point.Test.SideInformationBits},{point.Evaluations},{point.Seconds:F2}\n"
            );
        return text.ToString();
    }

    /// <summary>Ratio of output power to output error on the test images, in decibel.</summary>
    public double OutputSnrDb(AllocationPoint point) => 10 * Math.Log10(OutputPower / point.Test.OutputSquaredError);

    private double? Saving(string method, Func<AllocationPoint, double> rate)
    {
        IEnumerable<(double, double)> Curve(string of) =>
            Points.Where(point => point.Method == of).Select(point => (rate(point), OutputSnrDb(point)));
        return BjontegaardRate.Percent(Curve(method), Curve(EqualBits));
    }
}

/// <summary>Settings for giving bits one after the other.</summary>
/// <param name="Alpha">α, weight of the rank by mean.</param>
/// <param name="Beta">β, weight of the rank by standard deviation.</param>
/// <param name="Reserve">Number of channels of highest priority that are tried for every bit.</param>
/// <param name="MoveRounds">Maximum number of rounds of moving bits afterwards.</param>
public sealed record GreedySettings(double Alpha, double Beta, int Reserve, int MoveRounds);

/// <summary>One method at one average.</summary>
public sealed record AllocationPoint
{
    /// <summary>A name of <c>allocation.methods</c>.</summary>
    public required string Method { get; init; }

    /// <summary>Bits of all channels divided by the number of channels.</summary>
    public required double AverageBits { get; init; }

    /// <summary>Bits by channel.</summary>
    public required IReadOnlyList<int> Bits { get; init; }

    /// <summary>Mean of (g(ẑ) − g(z))² on the calibration images, which the greedy method minimizes.</summary>
    public required double CalibrationOutputSquaredError { get; init; }

    /// <summary>Results on the test images.</summary>
    public required AllocationMeasure Test { get; init; }

    /// <summary>Number of allocations whose output error was computed.</summary>
    public required long Evaluations { get; init; }

    /// <summary>Seconds to find the allocation, without measuring it.</summary>
    public required double Seconds { get; init; }

    /// <summary>Greedy only: the bits before any were moved, from which the next average continues.</summary>
    public IReadOnlyList<int>? GivenBits { get; init; }

    /// <summary>Greedy only: output error on the calibration images before bits were moved.</summary>
    public double? GivenOutputSquaredError { get; init; }

    /// <summary>Greedy only: number of bits moved.</summary>
    public int? MovedBits { get; init; }

    /// <summary>Makes a point from the result of the greedy method.</summary>
    public AllocationPoint Moved(IReadOnlyList<int> givenBits, double givenOutputSquaredError, int movedBits) =>
        this with
        {
            GivenBits = givenBits,
            GivenOutputSquaredError = givenOutputSquaredError,
            MovedBits = movedBits,
        };
}

/// <summary>Results of an allocation on images that were not used to find it.</summary>
/// <param name="OutputSquaredError">Mean of (g(ẑ) − g(z))² over images and outputs.</param>
/// <param name="FeatureSquaredError">Mean of (ẑ − z)² over all values.</param>
/// <param name="Top1Agreement">Share of images whose largest output is the same.</param>
/// <param name="Accuracy">Share of images that are classified correctly; null without labels.</param>
/// <param name="EntropyCodedBitsPerValue">Bits of the levels under the calibration images' frequencies, per feature value.</param>
/// <param name="SideInformationBits">Bits that are sent once for all images.</param>
public sealed record AllocationMeasure(
    double OutputSquaredError,
    double FeatureSquaredError,
    double Top1Agreement,
    double? Accuracy,
    double EntropyCodedBitsPerValue,
    long SideInformationBits
);

/// <summary>A case with few quantized channels, for which every allocation can be tried; errors are those on the calibration
/// images.</summary>
/// <param name="Channels">The channels with the largest standard deviation.</param>
/// <param name="Budget">Sum of their bits.</param>
/// <param name="Tried">Number of all allocations.</param>
/// <param name="OptimalBits">The best allocation.</param>
/// <param name="OptimalOutputSquaredError">Output error of the best allocation.</param>
/// <param name="Methods">Error of each method, and its distance from the optimum.</param>
public sealed record SmallCase(
    IReadOnlyList<int> Channels,
    int Budget,
    int Tried,
    IReadOnlyList<int> OptimalBits,
    double OptimalOutputSquaredError,
    IReadOnlyList<SmallCaseMethod> Methods
);

/// <param name="Method">A name of <c>allocation.methods</c>.</param>
/// <param name="Bits">Bits by channel.</param>
/// <param name="OutputSquaredError">Output error on the calibration images.</param>
/// <param name="GapPercent">Percent above the optimum.</param>
public sealed record SmallCaseMethod(string Method, IReadOnlyList<int> Bits, double OutputSquaredError, double GapPercent);

/// <summary>One image with its own allocation, found by running the second part of the network on it.</summary>
/// <param name="Image">Index in the test split.</param>
/// <param name="AverageBits">Bits of all channels divided by the number of channels.</param>
/// <param name="Bits">Bits by channel.</param>
/// <param name="OutputSquaredError">Output error with these bits.</param>
/// <param name="TableOutputSquaredError">Output error with the greedy allocation of the calibration images.</param>
/// <param name="EqualOutputSquaredError">Output error with equal bits.</param>
/// <param name="SideInformationBits">Bits of side information for this image.</param>
/// <param name="FeatureBits">Bits of its levels, without entropy coding.</param>
/// <param name="Seconds">Seconds to find the allocation.</param>
public sealed record ImageAllocation(
    int Image,
    double AverageBits,
    IReadOnlyList<int> Bits,
    double OutputSquaredError,
    double TableOutputSquaredError,
    double EqualOutputSquaredError,
    long SideInformationBits,
    long FeatureBits,
    double Seconds
);

/// <param name="Method">A name of <c>allocation.methods</c>.</param>
/// <param name="AverageBitsPercent">Change of bits per channel relative to equal bits at the same output error; null with too few
/// points.</param>
/// <param name="EntropyCodedBitsPercent">The same for entropy-coded bits.</param>
public sealed record RateSaving(string Method, double? AverageBitsPercent, double? EntropyCodedBitsPercent);

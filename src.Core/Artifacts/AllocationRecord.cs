using System.Globalization;
using System.Text;

namespace DQ.Core.Artifacts;

/// <summary><c>allocation.json</c>: bits of feature channels by several methods, and what they cost in the network's output.</summary>
public sealed record AllocationRecord : IArtifact
{
    /// <summary>The method the others are compared with: every channel has as many bits.</summary>
    public const string EqualBits = "equal";

    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Name and content, such as <c>resnet18-5c106cde386e</c>.</summary>
    public required string Network { get; init; }

    /// <summary>Whose output is quantized.</summary>
    public required string Layer { get; init; }

    /// <summary>C of that output.</summary>
    public required int Channels { get; init; }

    /// <summary>Its rows.</summary>
    public required int Height { get; init; }

    /// <summary>Its columns.</summary>
    public required int Width { get; init; }

    /// <summary>Such as <c>uniform</c>.</summary>
    public required string Quantizer { get; init; }

    /// <summary>Folder name of the data set under <c>datasets/</c>.</summary>
    public required string Dataset { get; init; }

    /// <summary>Training images that intervals and allocations were made on.</summary>
    public required int CalibrationImages { get; init; }

    /// <summary>Split of the images they were measured on.</summary>
    public required string TestSplit { get; init; }

    /// <summary>How many of them.</summary>
    public required int TestImages { get; init; }

    /// <summary>How the greedy allocation chose.</summary>
    public required GreedySettings Greedy { get; init; }

    /// <summary>Mean square of the unquantized network's outputs on the test images.</summary>
    public required double OutputPower { get; init; }

    /// <summary>Of the unquantized network on the test images; null without labels.</summary>
    public double? Accuracy { get; init; }

    /// <summary>One per method and average, in the order in which they were made.</summary>
    public required IReadOnlyList<AllocationPoint> Points { get; init; }

    /// <summary>Null until it was made, or where it was not asked for.</summary>
    public SmallCase? SmallCase { get; init; }

    /// <summary>Images with an allocation of their own.</summary>
    public required IReadOnlyList<ImageAllocation> Images { get; init; }

    /// <summary>Rate against equal bits at the same output error, of every other method; computed from <see cref="Points"/>.</summary>
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

    /// <summary>With one more point.</summary>
    public AllocationRecord With(AllocationPoint point) => this with { Points = [.. Points, point] };

    /// <summary>With the small case.</summary>
    public AllocationRecord With(SmallCase smallCase) => this with { SmallCase = smallCase };

    /// <summary>With one more image.</summary>
    public AllocationRecord With(ImageAllocation image) => this with { Images = [.. Images, image] };

    /// <summary>The points as CSV: a line each, without the channels' bits.</summary>
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

    /// <summary>Output power over output error on the test images, in decibels.</summary>
    public double OutputSnrDb(AllocationPoint point) => 10 * Math.Log10(OutputPower / point.Test.OutputSquaredError);

    private double? Saving(string method, Func<AllocationPoint, double> rate)
    {
        IEnumerable<(double, double)> Curve(string of) =>
            Points.Where(point => point.Method == of).Select(point => (rate(point), OutputSnrDb(point)));
        return BjontegaardRate.Percent(Curve(method), Curve(EqualBits));
    }
}

/// <summary>How bits are given one after the other.</summary>
/// <param name="Alpha">α, weight of the rank by mean.</param>
/// <param name="Beta">β, weight of the rank by standard deviation.</param>
/// <param name="Reserve">Channels of highest priority that are tried for every bit.</param>
/// <param name="MoveRounds">At most so many rounds of moving bits afterwards.</param>
public sealed record GreedySettings(double Alpha, double Beta, int Reserve, int MoveRounds);

/// <summary>One method at one average.</summary>
public sealed record AllocationPoint
{
    /// <summary>A name of <c>allocation.methods</c>.</summary>
    public required string Method { get; init; }

    /// <summary>Bits of all channels over channels.</summary>
    public required double AverageBits { get; init; }

    /// <summary>By channel.</summary>
    public required IReadOnlyList<int> Bits { get; init; }

    /// <summary>Mean of (g(ẑ) − g(z))² on the calibration images, which is what the greedy method lowers.</summary>
    public required double CalibrationOutputSquaredError { get; init; }

    /// <summary>On the test images.</summary>
    public required AllocationMeasure Test { get; init; }

    /// <summary>Allocations whose output error was asked for.</summary>
    public required long Evaluations { get; init; }

    /// <summary>To find it, without measuring.</summary>
    public required double Seconds { get; init; }

    /// <summary>Greedy only: before bits were moved, what the next average goes on from.</summary>
    public IReadOnlyList<int>? GivenBits { get; init; }

    /// <summary>Greedy only: output error on the calibration images before bits were moved.</summary>
    public double? GivenOutputSquaredError { get; init; }

    /// <summary>Greedy only: bits moved.</summary>
    public int? MovedBits { get; init; }

    /// <summary>As the greedy method found it.</summary>
    public AllocationPoint Moved(IReadOnlyList<int> givenBits, double givenOutputSquaredError, int movedBits) =>
        this with
        {
            GivenBits = givenBits,
            GivenOutputSquaredError = givenOutputSquaredError,
            MovedBits = movedBits,
        };
}

/// <summary>What an allocation does on images it was not made for.</summary>
/// <param name="OutputSquaredError">Mean of (g(ẑ) − g(z))² over images and outputs.</param>
/// <param name="FeatureSquaredError">Mean of (ẑ − z)² over all values.</param>
/// <param name="Top1Agreement">Share of images whose largest output is the same.</param>
/// <param name="Accuracy">Share of images classified right; null without labels.</param>
/// <param name="EntropyCodedBitsPerValue">Of the levels under the calibration images' frequencies, per feature value.</param>
/// <param name="SideInformationBits">Once for all images.</param>
public sealed record AllocationMeasure(
    double OutputSquaredError,
    double FeatureSquaredError,
    double Top1Agreement,
    double? Accuracy,
    double EntropyCodedBitsPerValue,
    long SideInformationBits
);

/// <summary>A few channels, the others unquantized, where every allocation can be tried; errors on the calibration images.</summary>
/// <param name="Channels">Those of highest deviation.</param>
/// <param name="Budget">Bits of all of them.</param>
/// <param name="Tried">Allocations there are.</param>
/// <param name="OptimalBits">The best one.</param>
/// <param name="OptimalOutputSquaredError">Its error.</param>
/// <param name="Methods">Error of each method, and how far above the optimum.</param>
public sealed record SmallCase(
    IReadOnlyList<int> Channels,
    int Budget,
    int Tried,
    IReadOnlyList<int> OptimalBits,
    double OptimalOutputSquaredError,
    IReadOnlyList<SmallCaseMethod> Methods
);

/// <param name="Method">A name of <c>allocation.methods</c>.</param>
/// <param name="Bits">By channel.</param>
/// <param name="OutputSquaredError">On the calibration images.</param>
/// <param name="GapPercent">Above the optimum.</param>
public sealed record SmallCaseMethod(string Method, IReadOnlyList<int> Bits, double OutputSquaredError, double GapPercent);

/// <summary>One image with an allocation of its own, found by running the network's back on it.</summary>
/// <param name="Image">Index in the test split.</param>
/// <param name="AverageBits">Bits of all channels over channels.</param>
/// <param name="Bits">By channel.</param>
/// <param name="OutputSquaredError">With them.</param>
/// <param name="TableOutputSquaredError">With the greedy allocation of the calibration images.</param>
/// <param name="EqualOutputSquaredError">With equal bits.</param>
/// <param name="SideInformationBits">That are sent for this image.</param>
/// <param name="FeatureBits">Of its levels at full length.</param>
/// <param name="Seconds">To find it.</param>
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
/// <param name="AverageBitsPercent">Change of bits per channel against equal bits at the same output error; null with too few points.</param>
/// <param name="EntropyCodedBitsPercent">The same of entropy-coded bits.</param>
public sealed record RateSaving(string Method, double? AverageBitsPercent, double? EntropyCodedBitsPercent);

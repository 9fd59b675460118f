using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace DQ.Core.Coding;

/// <summary>
/// What of a pixel's mixture is known before its first channel is: weights, means without the earlier channels' shares, inverse scales,
/// and the shares.
/// </summary>
internal sealed unsafe class MixtureTerms
{
    // 512 steps of a pixel: with edges of up to 2²⁴ and inverse scales below 2²⁴, arguments of the logistic function fit 31 bits
    private const int LargestMean = 1 << 25;

    // 64 units of contrast, each of up to 2²⁴: the distance fits 31 bits
    private const int LargestOffset = 1 << 22;
    private const int LargestShare = 1 << 24;
    private const int LeastLogScale = -(15 << 15);
    private const int LargestLogScale = 2 << 16;
    private const int StepBits = 16 - IntegerTables.ExponentialStepsBits;

    private readonly FrozenContext _model;
    private readonly int _mixtures;
    private readonly int _channels;
    private readonly int _outputShift;
    private readonly int[] _numbers;

    public MixtureTerms(FrozenContext model)
    {
        _model = model;
        (_mixtures, _channels) = (model.Spec.Mixtures, model.Spec.Channels);
        _outputShift = model.Leave.Shift - 16;
        Padded = PaddedOf(model);
        _numbers = GC.AllocateArray<int>(Padded * (1 + 2 * _channels + _channels * (_channels - 1) / 2), pinned: true);
    }

    /// <summary>Components in whole vectors; those beyond the model's have weight 0.</summary>
    public int Padded { get; }

    /// <summary><see cref="Padded"/> of a model.</summary>
    public static int PaddedOf(FrozenContext model) =>
        (model.Spec.Mixtures + LogisticSum.Lanes - 1) / LogisticSum.Lanes * LogisticSum.Lanes;

    /// <summary>Exponentials of the weights' logarithms, the largest 2³⁰.</summary>
    public int* Weights => ContextNet.Address(_numbers);

    /// <summary>Prediction and offset, 16 bits behind the point.</summary>
    public int* Means(int channel) => Weights + Padded * (1 + channel);

    /// <summary>Inverse scales, <see cref="LogisticSum.InverseBits"/> bits behind the point.</summary>
    public int* Inverses(int channel) => Weights + Padded * (1 + _channels + channel);

    /// <summary>How much of an earlier channel's difference goes to the mean, 16 bits behind the point: −1 to 1.</summary>
    public int* Shares(int channel, int earlier) => Weights + Padded * (1 + 2 * _channels + channel * (channel - 1) / 2 + earlier);

    /// <summary>A mean that is not beyond what arguments of the logistic function can carry.</summary>
    public static int Bounded(long mean) => (int)Math.Clamp(mean, -LargestMean, LargestMean);

    /// <param name="outputs">Of the net, readable up to three numbers beyond the last.</param>
    /// <param name="predictions">Of the channels.</param>
    /// <param name="contrasts">Of the channels.</param>
    /// <param name="corrections">What is added.</param>
    public void Fill(int* outputs, int* predictions, int* contrasts, MixtureCorrections corrections)
    {
        if (LogisticSum.HasVectors)
            Vectors(outputs, predictions, contrasts, corrections);
        else
            Plain(outputs, predictions, contrasts, corrections);
        for (var k = _mixtures; k < Padded; k++)
            Weights[k] = 0;
    }

    internal void Plain(int* outputs, int* predictions, int* contrasts, MixtureCorrections corrections)
    {
        var largest = Largest(outputs);
        var least = int.MaxValue;
        for (var k = 0; k < _mixtures; k++)
            least = Math.Min(least, Weights[k] = ((largest - outputs[k]) >> _outputShift) - corrections.Weights[k]);
        for (var k = 0; k < _mixtures; k++)
            Weights[k] = IntegerTables.Exponential[Math.Min((Weights[k] - least) >> StepBits, IntegerTables.Exponential.Length - 1)];
        for (var channel = 0; channel < _channels; channel++)
        {
            var offsets = outputs + _mixtures * (1 + channel);
            var scales = offsets + _mixtures * _channels;
            long unit = _model.Contrast.Units[contrasts[channel]],
                prediction = ((long)predictions[channel] << 16) + ((unit * corrections.Mean(channel)) >> 16);
            var logUnit = _model.Contrast.LogUnits[contrasts[channel]] + corrections.LogScale(channel);
            for (var k = 0; k < _mixtures; k++)
            {
                var offset = Math.Clamp(offsets[k] >> _outputShift, -LargestOffset, LargestOffset);
                Means(channel)[k] = Bounded(prediction + ((unit * offset) >> 16));
                var scale = Math.Clamp((scales[k] >> _outputShift) + logUnit, LeastLogScale, LargestLogScale);
                Inverses(channel)[k] = IntegerTables.InverseScales[(scale - LeastLogScale) >> StepBits];
            }
            for (var earlier = 0; earlier < channel; earlier++)
            for (var k = 0; k < _mixtures; k++)
                Shares(channel, earlier)[k] = HyperbolicTangent(
                    outputs[_mixtures * (1 + 2 * _channels + channel * (channel - 1) / 2 + earlier) + k] >> _outputShift
                );
        }
    }

    internal void Vectors(int* outputs, int* predictions, int* contrasts, MixtureCorrections corrections)
    {
        var largest = Vector128.Create(Largest(outputs));
        fixed (
            int* exponential = IntegerTables.Exponential,
                inverses = IntegerTables.InverseScales
        )
        fixed (long* logistic = IntegerTables.LogisticPairs)
        {
            var last = Vector128.Create(IntegerTables.Exponential.Length - 1);
            for (var k = 0; k < Padded; k += LogisticSum.Lanes)
                (((largest - Vector128.Load(outputs + k)) >> _outputShift) - Vector128.Load(corrections.Weights + k)).Store(Weights + k);
            var least = Weights[0];
            for (var k = 1; k < _mixtures; k++)
                least = Math.Min(least, Weights[k]);
            for (var k = 0; k < Padded; k += LogisticSum.Lanes)
            {
                // what stands beyond the components belongs to others: any index of the table will do
                var below = (Vector128.Load(Weights + k) - Vector128.Create(least)) >> StepBits;
                var index = Vector128.Max(Vector128.Min(below, last), Vector128<int>.Zero);
                LogisticSum.Entries(exponential, index).Store(Weights + k);
            }
            for (var channel = 0; channel < _channels; channel++)
            {
                var offsets = outputs + _mixtures * (1 + channel);
                var scales = offsets + _mixtures * _channels;
                var plainUnit = _model.Contrast.Units[contrasts[channel]];
                var unit = Vector128.Create(plainUnit);
                var logUnit = Vector128.Create(_model.Contrast.LogUnits[contrasts[channel]] + corrections.LogScale(channel));
                var correction = (int)(((long)plainUnit * corrections.Mean(channel)) >> 16);
                var prediction = Vector128.Create((predictions[channel] << 16) + correction);
                for (var k = 0; k < Padded; k += LogisticSum.Lanes)
                {
                    var offset = Clamped(Vector128.Load(offsets + k) >> _outputShift, LargestOffset);
                    // products fit 50 bits; their bits 16 to 47 are the means' distance
                    var even = Sse41.Multiply(offset, unit);
                    var odd = Sse41.Multiply(LogisticSum.Odd(offset), unit);
                    var distance = LogisticSum.Joined(even >>> 16, odd << 16);
                    Clamped(distance + prediction, LargestMean).Store(Means(channel) + k);
                    var scale = (Vector128.Load(scales + k) >> _outputShift) + logUnit;
                    scale = Vector128.Max(Vector128.Min(scale, Vector128.Create(LargestLogScale)), Vector128.Create(LeastLogScale));
                    var index = (scale - Vector128.Create(LeastLogScale)) >> StepBits;
                    LogisticSum.Entries(inverses, index).Store(Inverses(channel) + k);
                }
                for (var earlier = 0; earlier < channel; earlier++)
                for (var k = 0; k < Padded; k += LogisticSum.Lanes)
                {
                    var at = _mixtures * (1 + 2 * _channels + channel * (channel - 1) / 2 + earlier) + k;
                    var argument = Clamped(Vector128.Load(outputs + at) >> _outputShift, LargestShare) << 1;
                    var value = LogisticSum.Logistic(argument, logistic) - Vector128.Create(1 << (IntegerTables.UnitBits - 1));
                    (value >> (IntegerTables.UnitBits - 17)).Store(Shares(channel, earlier) + k);
                }
            }
        }
    }

    private int Largest(int* outputs)
    {
        var largest = outputs[0];
        for (var k = 1; k < _mixtures; k++)
            largest = Math.Max(largest, outputs[k]);
        return largest;
    }

    private static int HyperbolicTangent(int argument) =>
        (IntegerTables.Logistic(2 * Math.Clamp(argument, -LargestShare, LargestShare)) - (1 << (IntegerTables.UnitBits - 1)))
        >> (IntegerTables.UnitBits - 17);

    private static Vector128<int> Clamped(Vector128<int> values, int largest) =>
        Vector128.Max(Vector128.Min(values, Vector128.Create(largest)), Vector128.Create(-largest));
}

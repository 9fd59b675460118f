using System.Numerics;

namespace DQ.Core.Coding;

/// <summary>
/// The mixture of logistics of one pixel in integers, and its frequencies channel by channel: after each channel the components'
/// weights become what its value makes of them.
/// </summary>
/// <remarks>
/// Salimans et al., "PixelCNN++" (ICLR 2017), §2.1, relative to prediction and contrast. A value x from 0 to 255 of a channel has
/// cumulative frequency ⌊F(x − ½) · (2²⁴ − 256)⌋ + x, F being the mixture's distribution: so every value has a frequency of at least 1,
/// and only the two ends of a value are ever computed. The lowest value takes all mass below it, the highest all above.
/// </remarks>
internal sealed unsafe class PixelMixture
{
    /// <summary>Bits of frequencies: they sum to 2²⁴.</summary>
    public const int FrequencyBits = 24;

    private const int Symbols = 256;
    private const int WeightBits = 24;
    private const int InverseBits = 20;

    // e^7.5 / 127.5 · 2²⁰: the inverse scale of a pixel's step at the smallest log scale, −7.5
    private const ulong LargestInverse = 14869568;
    private const long LeastLogScale = -(15L << 15);
    private const long LargestLogScale = 2L << 16;
    private const long LargestMean = 1L << 31;

    private readonly FrozenContext _model;
    private readonly int _mixtures;
    private readonly int _channels;
    private readonly int _outputShift;
    private readonly long[] _weights;
    private readonly long[] _means;
    private readonly long[] _inverses;
    private readonly int[] _lower;
    private readonly int[] _upper;
    private readonly int[] _past = new int[3];
    private int* _outputs;
    private int* _predictions;
    private int* _contrasts;

    public PixelMixture(FrozenContext model)
    {
        _model = model;
        (_mixtures, _channels) = (model.Spec.Mixtures, model.Spec.Channels);
        _outputShift = model.Leave.Shift - 16;
        _weights = new long[_mixtures];
        _means = new long[_mixtures];
        _inverses = new long[_mixtures];
        _lower = new int[_mixtures];
        _upper = new int[_mixtures];
    }

    /// <summary>Begins a pixel.</summary>
    /// <param name="outputs">Of the net.</param>
    /// <param name="predictions">Of the channels.</param>
    /// <param name="contrasts">Of the channels.</param>
    public void Begin(int* outputs, int* predictions, int* contrasts)
    {
        _outputs = outputs;
        _predictions = predictions;
        _contrasts = contrasts;
        var largest = outputs[0];
        for (var k = 1; k < _mixtures; k++)
            largest = Math.Max(largest, outputs[k]);
        var exponential = IntegerTables.Exponential;
        long total = 0;
        for (var k = 0; k < _mixtures; k++)
        {
            var below = Fixed((long)largest - outputs[k]) >> (16 - IntegerTables.ExponentialStepsBits);
            total += _weights[k] = exponential[Math.Min(below, exponential.Length - 1)];
        }
        Normalize(total);
        Prepare(0);
    }

    /// <summary>Where the value of the current channel begins, and its frequency.</summary>
    public (uint Start, uint Frequency) Take(int value)
    {
        Ends(value, _lower);
        Ends(value + 1, _upper);
        return Finish(value);
    }

    /// <summary>The value of the current channel to which a number below 2²⁴ belongs; see <see cref="Take"/>.</summary>
    public int Find(uint slot, out uint start, out uint frequency)
    {
        var (low, high) = (0, Symbols);
        while (high - low > 1)
        {
            var middle = (low + high) >> 1;
            if (Cumulative(middle) <= slot)
                low = middle;
            else
                high = middle;
        }
        (start, frequency) = Take(low);
        return low;
    }

    /// <summary>Goes on to the next channel.</summary>
    /// <param name="channel">The one that <paramref name="value"/> is of.</param>
    /// <param name="value">What was coded.</param>
    public void Next(int channel, int value)
    {
        if (channel + 1 == _channels)
            return;
        _past[channel] = value - _predictions[channel];
        long total = 0;
        for (var k = 0; k < _mixtures; k++)
            total += _weights[k] *= _upper[k] - _lower[k] + 1;
        var extra = Math.Max(0, 64 - 31 - BitOperations.LeadingZeroCount((ulong)total));
        total = 0;
        for (var k = 0; k < _mixtures; k++)
            total += _weights[k] >>= extra;
        Normalize(total);
        Prepare(channel + 1);
    }

    private (uint Start, uint Frequency) Finish(int value)
    {
        var start = value == 0 ? 0 : Share(_lower) + (uint)value;
        var end = value == Symbols - 1 ? 1u << FrequencyBits : Share(_upper) + (uint)value + 1;
        return (start, end - start);
    }

    private uint Cumulative(int value)
    {
        Ends(value, _lower);
        return Share(_lower) + (uint)value;
    }

    /// The distributions of the components at value − ½, times 2³⁰.
    private void Ends(int value, int[] ends)
    {
        if (value == 0)
        {
            Array.Clear(ends);
            return;
        }
        if (value == Symbols)
        {
            Array.Fill(ends, 1 << IntegerTables.UnitBits);
            return;
        }
        var edge = ((long)value << 16) - (1 << 15);
        for (var k = 0; k < ends.Length; k++)
            ends[k] = IntegerTables.Logistic(((edge - _means[k]) * _inverses[k]) >> InverseBits);
    }

    private uint Share(int[] ends)
    {
        long sum = 0;
        for (var k = 0; k < ends.Length; k++)
            sum += _weights[k] * ends[k];
        return (uint)(((sum >> WeightBits) * ((1 << FrequencyBits) - Symbols)) >> IntegerTables.UnitBits);
    }

    /// Makes the weights sum to 2²⁴ or a little less. Their total is below 2³⁴.
    private void Normalize(long total)
    {
        const int Bits = 38;
        var inverse = (1L << (WeightBits + Bits)) / Math.Max(total, 1);
        for (var k = 0; k < _weights.Length; k++)
            _weights[k] = (_weights[k] * inverse) >> Bits;
    }

    private void Prepare(int channel)
    {
        var means = _outputs + _mixtures * (1 + channel);
        var scales = _outputs + _mixtures * (1 + _channels + channel);
        var shares = _outputs + _mixtures * (1 + 2 * _channels + channel * (channel - 1) / 2);
        var contrast = _contrasts[channel];
        long unit = _model.Contrast.Units[contrast],
            logUnit = _model.Contrast.LogUnits[contrast],
            prediction = (long)_predictions[channel] << 16;
        for (var k = 0; k < _mixtures; k++)
        {
            var mean = prediction + ((unit * Math.Clamp(Fixed(means[k]), -(1L << 24), 1L << 24)) >> 16);
            for (var earlier = 0; earlier < channel; earlier++)
                mean += HyperbolicTangent(Fixed(shares[earlier * _mixtures + k])) * _past[earlier];
            _means[k] = Math.Clamp(mean, -LargestMean, LargestMean);
            var scale = Math.Clamp(Fixed(scales[k]) + logUnit, LeastLogScale, LargestLogScale);
            var power = IntegerTables.Exponential[(scale - LeastLogScale) >> (16 - IntegerTables.ExponentialStepsBits)];
            _inverses[k] = (long)((power * LargestInverse) >> IntegerTables.UnitBits);
        }
    }

    /// 16 bits behind the point
    private static long HyperbolicTangent(long argument) => (IntegerTables.Logistic(2 * argument) - (1 << 29)) >> 13;

    /// An output of the net with 16 bits behind the point.
    private long Fixed(long output) => _outputShift >= 0 ? output >> _outputShift : output << -_outputShift;
}

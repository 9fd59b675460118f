using System.Numerics;

namespace DQ.Core.Coding;

/// <summary>
/// Corrections of a mixture that follow what a stream was like so far, by classes of local contrast: a model meets pictures with other
/// noise and sharpness than those it was trained on. A decoder learns the same from the same values.
/// </summary>
/// <remarks>
/// Weights: one step of gradient descent a pixel on −ln p by the weights' logarithms; the gradient is weight before − weight after.
/// Means and scales: with v, where a value lies in its distribution (F(x−½) to F(x+½), even in between), 2v − 1 is 0 and |2v − 1| is ½ in
/// the mean where the distribution is right; a step is what they differ by. The first steps are larger.
/// </remarks>
internal sealed unsafe class LearnedCorrections : MixtureCorrections
{
    /// Bits behind the point of what is kept, beyond those of what is used.
    private const int ExtraBits = 8;

    /// Classes a doubling of the contrast.
    private const int ClassesBits = 1;
    private const int Classes = 64;

    private const int One = 1 << 24;

    /// A step is 2 to the minus this. Of means and scales the first steps are 8 times as large.
    private const int WeightRate = 6,
        ChannelRate = 10,
        FirstChannelRate = 7;

    private const int MostWeight = 4 * One,
        MostMean = One,
        MostLogScale = 2 * One;

    private readonly int _padded;
    private readonly int _channels;
    private readonly int[] _weights; // class, component
    private readonly int[] _means; // channel, class; and so on
    private readonly int[] _logScales;
    private readonly int[] _counts;
    private readonly int[] _classes = new int[3];

    public LearnedCorrections(int padded, int channels)
        : base(padded)
    {
        (_padded, _channels) = (padded, channels);
        _weights = new int[Classes * padded];
        _means = new int[channels * Classes];
        _logScales = new int[channels * Classes];
        _counts = new int[channels * Classes];
    }

    public override void Reset()
    {
        Array.Clear(_weights);
        Array.Clear(_means);
        Array.Clear(_logScales);
        Array.Clear(_counts);
    }

    public override void Begin(int* contrasts)
    {
        for (var channel = 0; channel < _channels; channel++)
        {
            var place = _classes[channel] = channel * Classes + Class(contrasts[channel]);
            Means[channel] = _means[place] >> ExtraBits;
            LogScales[channel] = _logScales[place] >> ExtraBits;
        }
        var weights = Learned();
        for (var k = 0; k < _padded; k++)
            Weights[k] = weights[k] >> ExtraBits;
    }

    public override void Learn(int channel, uint start, uint frequency)
    {
        var place = _classes[channel];
        var rate = Math.Min(ChannelRate, FirstChannelRate + BitOperations.Log2((uint)++_counts[place]) / 2);
        // how far the value's ends are above and below the middle, in 2⁻²⁵
        long below = One - 2L * start,
            above = 2L * (start + frequency) - One;
        var balance = above - below;
        var spread = (above * Math.Abs(above) + below * Math.Abs(below)) / (above + below) - One;
        _means[place] = Math.Clamp(_means[place] + (int)(balance >> rate), -MostMean, MostMean);
        _logScales[place] = Math.Clamp(_logScales[place] + (int)(spread >> rate), -MostLogScale, MostLogScale);
    }

    public override void Learn(int* before, int* after)
    {
        var weights = Learned();
        for (var k = 0; k < _padded; k++)
            weights[k] = Math.Clamp(weights[k] + ((after[k] - before[k]) >> WeightRate), -MostWeight, MostWeight);
    }

    private Span<int> Learned() => _weights.AsSpan(_classes[_channels / 2] % Classes * _padded, _padded);

    private static int Class(int contrast)
    {
        var value = (uint)contrast + 8;
        var whole = BitOperations.Log2(value);
        return (int)(((uint)whole << ClassesBits) + ((value >> (whole - ClassesBits)) & ((1u << ClassesBits) - 1)));
    }
}

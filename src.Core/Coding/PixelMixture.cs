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

    private readonly MixtureTerms _terms;
    private readonly MixtureCorrections _corrections;
    private readonly int _channels;
    private readonly int[] _weights;
    private readonly int[] _first;
    private readonly int[] _means;
    private int[] _lower;
    private int[] _upper;
    private int[] _middle;
    private readonly long[] _parts;
    private readonly int[] _past = new int[3];
    private int* _predictions;
    private int _channel;
    private uint _start;
    private uint _frequency;

    /// <param name="model">Whose outputs are mixtures.</param>
    /// <param name="corrections">What is added to them.</param>
    public PixelMixture(FrozenContext model, MixtureCorrections corrections)
    {
        _channels = model.Spec.Channels;
        _corrections = corrections;
        _terms = new MixtureTerms(model);
        var count = _terms.Padded;
        _first = GC.AllocateArray<int>(count, pinned: true);
        _weights = GC.AllocateArray<int>(count, pinned: true);
        _means = GC.AllocateArray<int>(count, pinned: true);
        _lower = GC.AllocateArray<int>(count, pinned: true);
        _upper = GC.AllocateArray<int>(count, pinned: true);
        _middle = GC.AllocateArray<int>(count, pinned: true);
        _parts = GC.AllocateArray<long>(count, pinned: true);
    }

    /// <summary>Begins a pixel.</summary>
    /// <param name="outputs">Of the net.</param>
    /// <param name="predictions">Of the channels.</param>
    /// <param name="contrasts">Of the channels.</param>
    public void Begin(int* outputs, int* predictions, int* contrasts)
    {
        _predictions = predictions;
        _channel = 0;
        _corrections.Begin(contrasts);
        _terms.Fill(outputs, predictions, contrasts, _corrections);
        int* weights = _terms.Weights;
        var parts = ContextNet.Address(_parts);
        long total = 0;
        for (var k = 0; k < _parts.Length; k++)
            total += parts[k] = weights[k];
        Normalize(total);
        _weights.CopyTo(_first, 0);
        new ReadOnlySpan<int>(_terms.Means(0), _means.Length).CopyTo(_means);
    }

    /// <summary>Where the value of the current channel begins, and its frequency.</summary>
    public (uint Start, uint Frequency) Take(int value)
    {
        var start = Cumulative(value, _lower);
        return (_start, _frequency) = (start, Cumulative(value + 1, _upper) - start);
    }

    /// <summary>The value of the current channel to which a number below 2²⁴ belongs; see <see cref="Take"/>.</summary>
    public int Find(uint slot, out uint start, out uint frequency)
    {
        // from the prediction outward in growing steps, then by halves; the ends of the range are kept
        var (low, high) = (-1, Symbols + 1);
        var (begin, end) = (0u, 0u);
        var (at, step) = (Math.Clamp(_means[0] >> 16, 1, Symbols - 1), 2);
        while (true)
        {
            var cumulative = Cumulative(at, _middle);
            if (cumulative <= slot)
            {
                (low, begin) = (at, cumulative);
                (_lower, _middle) = (_middle, _lower);
            }
            else
            {
                (high, end) = (at, cumulative);
                (_upper, _middle) = (_middle, _upper);
            }
            if (high - low == 1)
                break;
            at =
                high > Symbols ? Math.Min(low + step, Symbols)
                : low < 0 ? Math.Max(high - step, 0)
                : (low + high) >> 1;
            step *= 2;
        }
        (_start, _frequency) = (start, frequency) = (begin, end - begin);
        return low;
    }

    /// <summary>Goes on to the next channel.</summary>
    /// <param name="value">What was coded of the current one.</param>
    public void Next(int value)
    {
        _corrections.Learn(_channel, _start, _frequency);
        _past[_channel] = value - _predictions[_channel];
        _channel++;
        Weigh();
        if (_channel == _channels)
        {
            _corrections.Learn(ContextNet.Address(_first), ContextNet.Address(_weights));
            return;
        }
        int* means = _terms.Means(_channel),
            target = ContextNet.Address(_means),
            shares = _terms.Shares(_channel, 0);
        var padded = _terms.Padded;
        // of the second channel the shares of the first, of the third those of the second too
        var (first, second) = ((long)_past[0], _channel == 2 ? _past[1] : 0L);
        for (var k = 0; k < padded; k++)
        {
            var mean = means[k] + shares[k] * first;
            if (second != 0)
                mean += shares[padded + k] * second;
            target[k] = MixtureTerms.Bounded(mean);
        }
    }

    /// By what the components gave the last channel's value.
    private void Weigh()
    {
        int* weights = ContextNet.Address(_weights),
            upper = ContextNet.Address(_upper),
            lower = ContextNet.Address(_lower);
        var parts = ContextNet.Address(_parts);
        long total = 0;
        for (var k = 0; k < _parts.Length; k++)
            total += parts[k] = weights[k] * (upper[k] - lower[k] + 1L);
        var extra = Math.Max(0, 64 - 31 - BitOperations.LeadingZeroCount((ulong)total));
        total = 0;
        for (var k = 0; k < _parts.Length; k++)
            total += parts[k] >>= extra;
        Normalize(total);
    }

    private uint Cumulative(int value, int[] ends)
    {
        if (value == 0)
        {
            Array.Clear(ends);
            return 0;
        }
        if (value == Symbols)
        {
            Array.Fill(ends, 1 << IntegerTables.UnitBits);
            return 1u << FrequencyBits;
        }
        var share = LogisticSum.At(
            (value << 16) - (1 << 15),
            ContextNet.Address(_means),
            _terms.Inverses(_channel),
            ContextNet.Address(_weights),
            ends.Length,
            ContextNet.Address(ends)
        );
        return (uint)((share * ((1 << FrequencyBits) - Symbols)) >> IntegerTables.UnitBits) + (uint)value;
    }

    /// Makes of the parts weights that sum to 2²⁴ or a little less. Their total is below 2³⁵.
    private void Normalize(long total)
    {
        const int Bits = 38;
        var inverse = (1L << (LogisticSum.WeightBits + Bits)) / Math.Max(total, 1);
        var parts = ContextNet.Address(_parts);
        var weights = ContextNet.Address(_weights);
        for (var k = 0; k < _parts.Length; k++)
            weights[k] = (int)((parts[k] * inverse) >> Bits);
    }
}

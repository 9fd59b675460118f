namespace DQ.Core.Coding;

/// <summary>Pictures to streams and back by a frozen context head: what one thread works with.</summary>
internal sealed unsafe class ContextCoder
{
    private const int MostChannels = 3;

    private readonly ContextNet _net;
    private readonly MixtureCorrections _corrections;
    private readonly PixelMixture _mixture;
    private readonly int[] _places = new int[ContextNet.BatchPixels];
    private readonly int[] _strides = new int[ContextNet.BatchPixels];
    private readonly int[] _predictions = GC.AllocateArray<int>(ContextNet.BatchPixels * MostChannels, pinned: true);
    private readonly int[] _contrasts = GC.AllocateArray<int>(ContextNet.BatchPixels * MostChannels, pinned: true);

    private ContextCoder(FrozenContext model, MixtureCorrections corrections)
    {
        Model = model;
        _net = ContextNet.For(model);
        _corrections = corrections;
        _mixture = new PixelMixture(model, corrections);
    }

    public FrozenContext Model { get; }

    /// <summary>Of streams whose mixtures are the model's alone.</summary>
    public static ContextCoder Fixed(FrozenContext model) => new(model, new MixtureCorrections(MixtureTerms.PaddedOf(model)));

    /// <summary>Of streams whose mixtures follow what was coded before.</summary>
    public static ContextCoder Learning(FrozenContext model) =>
        new(model, new LearnedCorrections(MixtureTerms.PaddedOf(model), model.Spec.Channels));

    /// <summary>The stream of pictures whose margins are filled.</summary>
    public byte[] Encode(ContextPixels pixels, CancellationToken cancellation)
    {
        var intervals = new (uint Start, uint Frequency)[pixels.Count * pixels.Channels];
        Intervals(pixels, intervals, cancellation);
        var encoder = new RansEncoder();
        for (var i = intervals.Length - 1; i >= 0; i--)
            encoder.Put(intervals[i].Start, intervals[i].Frequency, PixelMixture.FrequencyBits);
        return encoder.Finish();
    }

    /// <summary>What the frozen model says the pictures cost, in bits: −Σ log₂ of the frequencies. Their margins are filled.</summary>
    public double Bits(ContextPixels pixels, CancellationToken cancellation)
    {
        var intervals = new (uint Start, uint Frequency)[pixels.Count * pixels.Channels];
        Intervals(pixels, intervals, cancellation);
        var bits = 0.0;
        foreach (var (_, frequency) in intervals)
            bits += PixelMixture.FrequencyBits - Math.Log2(frequency);
        return bits;
    }

    /// <summary>Fills pictures, margins too, from their stream.</summary>
    /// <exception cref="InvalidDataException">The stream is not that of pictures of these sizes under this model.</exception>
    public void Decode(ReadOnlySpan<byte> stream, ContextPixels pixels, CancellationToken cancellation)
    {
        var decoder = new RansDecoder(stream);
        _corrections.Reset();
        var bytes = Bytes(pixels);
        var wavefronts = Wavefronts.Count(pixels);
        for (var wavefront = 0; wavefront < wavefronts; wavefront++)
        {
            cancellation.ThrowIfCancellationRequested();
            var count = 0;
            foreach (var run in Wavefronts.Runs(pixels, wavefront))
                for (var i = 0; i < run.Count; i++)
                {
                    _places[count] = run.Start + i * run.Step;
                    _strides[count++] = pixels.Pieces[run.Piece].Stride;
                    if (count == ContextNet.BatchPixels)
                    {
                        DecodeBatch(ref decoder, bytes, count);
                        count = 0;
                    }
                }
            DecodeBatch(ref decoder, bytes, count);
            foreach (var run in Wavefronts.Runs(pixels, wavefront))
                FillMargins(pixels, run, wavefront);
        }
        if (!decoder.IsAtEnd)
            throw new InvalidDataException("a stream that does not end with its last symbol");
    }

    private static byte* Bytes(ContextPixels pixels) => ContextNet.Address(pixels.Bytes);

    private static void FillMargins(ContextPixels pixels, Wavefronts.Run run, int wavefront)
    {
        var slope = pixels.Radius + 1;
        var last = run.Row + run.Count - 1;
        // the first pixel of a run is furthest to the right, the last furthest to the left
        if (wavefront - slope * run.Row == pixels.Pieces[run.Piece].Width - 1)
            pixels.LastIsKnown(run.Piece, run.Row);
        if (wavefront == slope * last)
            pixels.FirstIsKnown(run.Piece, last);
    }

    private void Intervals(ContextPixels pixels, (uint, uint)[] intervals, CancellationToken cancellation)
    {
        _corrections.Reset();
        var bytes = Bytes(pixels);
        var (count, next) = (0, 0);
        var wavefronts = Wavefronts.Count(pixels);
        for (var wavefront = 0; wavefront < wavefronts; wavefront++)
        {
            cancellation.ThrowIfCancellationRequested();
            foreach (var run in Wavefronts.Runs(pixels, wavefront))
                for (var i = 0; i < run.Count; i++)
                {
                    _places[count] = run.Start + i * run.Step;
                    _strides[count++] = pixels.Pieces[run.Piece].Stride;
                    if (count == ContextNet.BatchPixels)
                    {
                        Batch(bytes, count, intervals.AsSpan(next));
                        next += count * pixels.Channels;
                        count = 0;
                    }
                }
        }
        Batch(bytes, count, intervals.AsSpan(next));
    }

    private void Batch(byte* bytes, int count, Span<(uint, uint)> intervals)
    {
        RunNet(bytes, count);
        var channels = Model.Spec.Channels;
        for (var i = 0; i < count; i++)
        {
            Begin(i);
            for (var channel = 0; channel < channels; channel++)
            {
                var value = bytes[_places[i] + channel];
                intervals[i * channels + channel] = _mixture.Take(value);
                _mixture.Next(value);
            }
        }
    }

    private void DecodeBatch(ref RansDecoder decoder, byte* bytes, int count)
    {
        RunNet(bytes, count);
        for (var i = 0; i < count; i++)
        {
            Begin(i);
            for (var channel = 0; channel < Model.Spec.Channels; channel++)
            {
                var value = _mixture.Find(decoder.Slot(PixelMixture.FrequencyBits), out var start, out var frequency);
                decoder.Advance(start, frequency, PixelMixture.FrequencyBits);
                bytes[_places[i] + channel] = (byte)value;
                _mixture.Next(value);
            }
        }
    }

    private void RunNet(byte* bytes, int count)
    {
        fixed (
            int* predictions = _predictions,
                contrasts = _contrasts
        )
            for (var i = 0; i < count; i++)
                ContextInputs.Fill(
                    bytes + _places[i],
                    _strides[i],
                    Model.Spec,
                    Model.Contrast,
                    _net.Inputs + i * _net.InputStride,
                    predictions + i * MostChannels,
                    contrasts + i * MostChannels
                );
        _net.Run(count);
    }

    private void Begin(int pixel)
    {
        fixed (
            int* predictions = _predictions,
                contrasts = _contrasts
        )
            _mixture.Begin(_net.Outputs + pixel * _net.OutputStride, predictions + pixel * MostChannels, contrasts + pixel * MostChannels);
    }
}

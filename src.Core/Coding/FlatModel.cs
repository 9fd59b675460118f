namespace DQ.Core.Coding;

/// <summary>What <see cref="FlatCoder"/> knows and learns on its way through pixels, the same for encoder and decoder.</summary>
internal sealed class FlatModel
{
    private const int Orders = 3;
    private const int Candidates = Orders + 5;
    private const int Confidences = 16;
    private const int Shapes = 16;
    private const int MostTableBits = 18;
    private const int FlagContexts = 4;
    private const int ColorContexts = 6;
    private const int MostFlagCount = 250;
    private const int MostColorCount = 40;

    private readonly ContextPixels _pixels;
    private readonly int _channels;
    private readonly int _tableMask;
    private readonly int[][] _colors = new int[Orders][];
    private readonly byte[][] _hits = new byte[Orders][];
    private readonly int[] _places = new int[Orders];
    private readonly int[] _candidates = new int[Candidates];
    private readonly BitMixer _flags;
    private readonly BitMixer _bytes;

    // whether the last pixels' first candidates were wrong, a bit each
    private uint _history;

    public FlatModel(ContextPixels pixels)
    {
        _pixels = pixels;
        _channels = pixels.Channels;
        var bits = Math.Clamp(System.Numerics.BitOperations.Log2((uint)pixels.Count) + 1, 8, MostTableBits);
        _tableMask = (1 << bits) - 1;
        for (var order = 0; order < Orders; order++)
        {
            _colors[order] = new int[1 << bits];
            Array.Fill(_colors[order], -1);
            _hits[order] = new byte[1 << bits];
        }
        // a new kind of context with each pixel, and up to 24 for a color of its own
        _flags = new BitMixer(FlagContexts, Candidates * 2, bits);
        _bytes = new BitMixer(ColorContexts, 3 * 8, bits + 2);
    }

    /// <summary>A pixel's channels as one number.</summary>
    public static int Color(ContextPixels pixels, int at)
    {
        var bytes = pixels.Bytes;
        return pixels.Channels == 1 ? bytes[at] : bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
    }

    /// <summary>Codes all pixels; a decoder fills them.</summary>
    public void Walk<TBits>(ref TBits bits, CancellationToken cancellation)
        where TBits : struct, IBits, allows ref struct
    {
        for (var piece = 0; piece < _pixels.Pieces.Count; piece++)
        {
            var (width, height, stride, origin) = _pixels.Pieces[piece];
            for (var row = 0; row < height; row++)
            {
                cancellation.ThrowIfCancellationRequested();
                var lastMissed = false;
                for (var column = 0; column < width; column++)
                {
                    lastMissed = Pixel(ref bits, origin + row * stride + column * _channels, stride, lastMissed);
                    if (TBits.IsDecoding && column == 0)
                        _pixels.FirstIsKnown(piece, row);
                }
                if (TBits.IsDecoding)
                    _pixels.LastIsKnown(piece, row);
            }
        }
    }

    /// Whether the first candidate was wrong.
    private bool Pixel<TBits>(ref TBits bits, int at, int stride, bool lastMissed)
        where TBits : struct, IBits, allows ref struct
    {
        int west = At(at, 0, -1),
            north = At(at, -stride, 0),
            corner = At(at, -stride, -1),
            east = At(at, -stride, 1);
        Surroundings(at, stride, west, north, corner, east);
        for (var order = 0; order < Orders; order++)
            _candidates[order] = _colors[order][_places[order]];
        _candidates[Orders] = west;
        _candidates[Orders + 1] = north;
        _candidates[Orders + 2] = east;
        _candidates[Orders + 3] = corner;
        _candidates[Orders + 4] = At(at, 0, -2);
        var shape = (west == north ? 1 : 0) | (north == corner ? 2 : 0) | (north == east ? 4 : 0) | (west == corner ? 8 : 0);
        var actual = TBits.IsDecoding ? -1 : Color(_pixels, at);
        var missed = false;
        for (var i = 0; i < Candidates; i++)
        {
            var candidate = _candidates[i];
            if (candidate < 0 || Array.IndexOf(_candidates, candidate, 0, i) >= 0)
                continue;
            var confidence =
                i < Orders ? Math.Min((int)_hits[i][_places[i]], Confidences - 1)
                : missed ? 1
                : 0;
            var kind = (uint)(i * 2 + (lastMissed ? 1 : 0));
            _flags.Context(0, (uint)((i * Confidences + confidence) * Shapes + shape) * 2 + kind % 2);
            _flags.Context(1, Hash(kind + 100, west, north, candidate));
            _flags.Context(2, Hash(kind + 200, (int)_history & 63, confidence, shape));
            _flags.Context(3, Hash(kind + 300, north, corner, east));
            var hit = bits.Code(candidate == actual, _flags.Ones((int)kind));
            _flags.Learn(hit, MostFlagCount);
            if (hit)
            {
                _history = _history << 1 | (missed ? 1u : 0);
                Remember(candidate);
                if (TBits.IsDecoding)
                    Put(at, candidate);
                return missed;
            }
            missed = true;
        }
        _history = _history << 1 | 1;
        Literal(ref bits, at, stride, west, north);
        Remember(Color(_pixels, at));
        return true;
    }

    /// A color that is no candidate: its channels bit by bit, green first.
    private void Literal<TBits>(ref TBits bits, int at, int stride, int westColor, int northColor)
        where TBits : struct, IBits, allows ref struct
    {
        var bytes = _pixels.Bytes;
        var known = 0;
        var shift = 0;
        for (var i = 0; i < _channels; i++)
        {
            var channel = _channels == 1 ? 0 : (i + 1) % 3;
            int west = bytes[at + channel - _channels],
                north = bytes[at + channel - stride],
                corner = bytes[at + channel - stride - _channels];
            var median = Math.Max(Math.Min(west, north), Math.Min(Math.Max(west, north), west + north - corner));
            var prediction = Math.Clamp(median + shift, 0, 255);
            var value = (int)bytes[at + channel];
            var node = 1;
            for (var bit = 7; bit >= 0; bit--)
            {
                var kind = (uint)(i * 256 + node);
                _bytes.Context(0, Hash(kind, known, 1, 0));
                _bytes.Context(1, Hash(kind, known, 2, westColor));
                _bytes.Context(2, Hash(kind, known, 3, northColor));
                _bytes.Context(3, Hash(kind, prediction, 4, 0));
                _bytes.Context(4, Hash(kind, west, north, i == 0 ? 0 : shift + 1000));
                _bytes.Context(5, Hash(kind, known ^ westColor * 77, 6, northColor));
                var one = bits.Code(((value >> bit) & 1) != 0, _bytes.Ones(i * 8 + bit));
                _bytes.Learn(one, MostColorCount);
                node = 2 * node + (one ? 1 : 0);
            }
            value = node & 255;
            if (TBits.IsDecoding)
                bytes[at + channel] = (byte)value;
            known = known << 8 | value;
            shift = value - median;
        }
    }

    private static uint Hash(uint kind, int one, int two, int three)
    {
        var hash = (kind + 1) * 0x85EBCA6B;
        hash = (hash ^ (uint)one) * 0xC2B2AE35;
        hash = (hash ^ hash >> 15 ^ (uint)two) * 0x27D4EB2F;
        hash = (hash ^ hash >> 13 ^ (uint)three) * 0x165667B1;
        return hash ^ hash >> 16;
    }

    private void Surroundings(int at, int stride, int west, int north, int corner, int east)
    {
        var few = Mixed(Mixed(Mixed(0, west), north), east);
        var some = Mixed(Mixed(Mixed(few, corner), At(at, 0, -2)), At(at, -2 * stride, 0));
        var many = Mixed(Mixed(Mixed(some, At(at, -stride, -2)), At(at, -stride, 2)), At(at, -2 * stride, -1));
        many = Mixed(Mixed(Mixed(many, At(at, -2 * stride, 1)), At(at, -2 * stride, 2)), At(at, -2 * stride, -2));
        _places[0] = (int)(many >> 32) & _tableMask;
        _places[1] = (int)(some >> 32) & _tableMask;
        _places[2] = (int)(few >> 32) & _tableMask;
    }

    private void Remember(int color)
    {
        for (var order = 0; order < Orders; order++)
        {
            ref var known = ref _colors[order][_places[order]];
            ref var hits = ref _hits[order][_places[order]];
            if (known == color)
                hits = (byte)Math.Min(hits + 1, Confidences - 1);
            else
                (known, hits) = (color, 0);
        }
    }

    private int At(int at, int rows, int columns) => Color(_pixels, at + rows + columns * _channels);

    private void Put(int at, int color)
    {
        for (var channel = 0; channel < _channels; channel++)
            _pixels.Bytes[at + channel] = (byte)(color >> (8 * channel));
    }

    private static ulong Mixed(ulong hash, int color) => (hash ^ (uint)color) * 0x9E3779B97F4A7C15 ^ (hash >> 29);
}

using System.Numerics;
using System.Runtime.CompilerServices;

namespace DQ.Core.Likelihoods;

/// <summary>
/// <see cref="LogisticMixture"/>'s loss on tiles. Each step is a short loop over rows of the tile, so that its constants and temporaries
/// stay in registers and its iterations overlap. Every derivative of a component's log-probability is stored in place of its parameter. At
/// the end it is multiplied by the component's posterior.
/// </summary>
/// <remarks>
/// For channel c and component k, with a = (x − μ)/σ, h = 1/(255 σ), E = e^−|a|, g = e^−h, D = E (1 + g²) + g (1 + E²):
/// <code>
///            log mass                       |∂/∂a|             h ∂/∂h
/// inside     −|a| + log (1−g²)/D            g (1 − E²) / D     h g (4 E g + (1 + E²)(1 + g²)) / ((1 − g²) D)
/// density    −|a| − s − log 127.5 (1 + E)²  (1 − E) / (1 + E)  1 (through s)
/// edges      log σ(q), q = h ± a            σ(−q)              h σ(−q)
/// </code>
/// Only the factors inside the logarithms are computed per channel; one logarithm is taken of their product over the channels.
/// Axes: a block is n rows (components) of the tile's width.
/// </remarks>
internal sealed unsafe class LogisticMixtureKernel(int imageChannels, int components) : ITileKernel
{
    private readonly int parts = imageChannels == 1 ? 2 : 3;

    /// <summary>Log-scales are clamped to this range, and get no gradient outside it.</summary>
    public (float Least, float Most) LogScales { get; init; } = ((float)LogisticMixture.LeastLogScale, float.PositiveInfinity);

    /// <summary>Whether parameters are ordered by part, then channel, instead of by channel, then part.</summary>
    public bool ByPart { get; init; }

    public int OutputChannels => components * (1 + imageChannels * parts);

    public int ImageChannels => imageChannels;

    // five blocks and two rows, see Blocks
    public int ScratchRows => 5 * components + 2;

    public double Run(float* tile, float* pixels, float* scratch, int width, int count, bool gradient, float scale)
    {
        var toUnit = new Vector<float>(1 / 127.5f);
        for (var v = 0; v < imageChannels * width; v += Vector<float>.Count)
            Vector.Store(Vector.Load(pixels + v) * toUnit - Vector<float>.One, pixels + v);
        return RunScaled(tile, pixels, pixels, scratch, width, count, gradient, scale);
    }

    /// <summary>The same for pixels scaled to [−1, 1].</summary>
    /// <param name="tile">As above.</param>
    /// <param name="pixels">Scaled.</param>
    /// <param name="earlier">The values that a channel's coefficients are multiplied by in the means of later channels: the pixels, or
    /// their differences from a prediction.</param>
    /// <param name="scratch">As above.</param>
    /// <param name="width">As above.</param>
    /// <param name="count">As above.</param>
    /// <param name="gradient">As above.</param>
    /// <param name="scale">As above.</param>
    /// <param name="natsPerPixel">Receives each pixel's nats, a row of the tile's width; null if they are not needed.</param>
    public double RunScaled(
        float* tile,
        float* pixels,
        float* earlier,
        float* scratch,
        int width,
        int count,
        bool gradient,
        float scale,
        float* natsPerPixel = null
    )
    {
        var blocks = new Blocks(tile, scratch, width, components, ByPart ? 1 : parts, ByPart ? imageChannels : 1, LogScales);
        new Span<float>(tile, blocks.Length).CopyTo(new(blocks.Linear, blocks.Length));
        new Span<float>(blocks.Factors, blocks.Length).Fill(1);
        for (var channel = 0; channel < imageChannels; channel++)
        {
            var values = pixels + channel * width;
            if (imageChannels == 3)
                Tanh(blocks.Part(channel, 2), blocks.Length);
            if (channel == 1)
                Shift(blocks, 1, blocks.Part(0, 2), earlier);
            if (channel == 2)
            {
                Shift(blocks, 2, blocks.Part(1, 2), earlier);
                Shift(blocks, 2, blocks.Part(2, 2), earlier + width);
            }
            Standardize(blocks, channel, values);
            if (gradient)
                LogMass<WithGradient>(blocks, channel, values);
            else
                LogMass<WithoutGradient>(blocks, channel, values);
        }
        if (gradient && imageChannels == 3)
        {
            Coefficient(blocks.Part(0, 2), blocks.Part(1, 0), earlier, blocks);
            Coefficient(blocks.Part(1, 2), blocks.Part(2, 0), earlier, blocks);
            Coefficient(blocks.Part(2, 2), blocks.Part(2, 0), earlier + width, blocks);
        }
        var nats = LogSumOverComponents(blocks, count, natsPerPixel);
        if (gradient)
            Weight(blocks, scale);
        return nats;
    }

    /// The layout: parameters in the tile, and beside it the values that a channel needs until its derivatives are written
    private readonly struct Blocks(
        float* tile,
        float* scratch,
        int width,
        int components,
        int perChannel,
        int perPart,
        (float Least, float Most) logScales
    )
    {
        public readonly Vector<float> Least = new(logScales.Least);
        public readonly Vector<float> Most = new(logScales.Most);

        public readonly int Width = width;
        public readonly int Length = width * components;
        public readonly float* Weights = tile;

        /// 1/σ of the current channel
        public readonly float* Inverse = scratch;

        /// g − 1 = e^−h − 1 of the current channel
        public readonly float* LessG = scratch + width * components;

        /// E of the current channel; at the end 1 / Σ of each pixel's exponentials
        public readonly float* E = scratch + 2 * width * components;

        /// Σ over channels of the linear parts; at the end the unnormalized posterior
        public readonly float* Linear = scratch + 3 * width * components;

        /// Π over channels of the factors inside the logarithm
        public readonly float* Factors = scratch + 4 * width * components;

        /// 1 / Σ of the exponentials of a pixel's joint terms, and of its weights
        public readonly float* OverJoint = scratch + 5 * width * components;
        public readonly float* OverWeights = scratch + (5 * components + 1) * width;

        public float* Part(int channel, int part) => Weights + (1 + channel * perChannel + part * perPart) * Length;
    }

    private static void Tanh(float* coefficients, int length)
    {
        for (var v = 0; v < length; v += Vector<float>.Count)
        {
            var x = Vector.Load(coefficients + v);
            var lessOne = VectorMath.ExpLessOne(Vector.Abs(x) * new Vector<float>(-2));
            Vector.Store(Vector.CopySign(lessOne / (lessOne + new Vector<float>(2)), x), coefficients + v);
        }
    }

    /// μ += coefficient · earlier value
    private static void Shift(in Blocks blocks, int channel, float* coefficients, float* values)
    {
        var means = blocks.Part(channel, 0);
        for (var row = 0; row < blocks.Length; row += blocks.Width)
        for (var v = 0; v < blocks.Width; v += Vector<float>.Count)
        {
            var at = row + v;
            var mean = Vector.MultiplyAddEstimate(Vector.Load(coefficients + at), Vector.Load(values + v), Vector.Load(means + at));
            Vector.Store(mean, means + at);
        }
    }

    /// Computes from μ and s: a in μ's place; 1/σ, e^−h − 1 and E in the scratch
    private static void Standardize(in Blocks blocks, int channel, float* values)
    {
        var means = blocks.Part(channel, 0);
        var logScales = blocks.Part(channel, 1);
        var inverse = blocks.Inverse;
        var (least, most) = (blocks.Least, blocks.Most);
        for (var v = 0; v < blocks.Length; v += Vector<float>.Count)
        {
            // the second operand is what a maximum with NaN gives
            var logScale = Vector.MinNative(most, Vector.MaxNative(least, Vector.Load(logScales + v)));
            Vector.Store(VectorMath.Exp(-logScale), inverse + v);
        }
        for (var v = 0; v < blocks.Length; v += Vector<float>.Count)
            Vector.Store(
                VectorMath.ExpLessOne(Vector.Load(inverse + v) * new Vector<float>((float)-LogisticMixture.HalfBin)),
                blocks.LessG + v
            );
        for (var row = 0; row < blocks.Length; row += blocks.Width)
        for (var v = 0; v < blocks.Width; v += Vector<float>.Count)
        {
            var at = row + v;
            var (x, over) = (Vector.Load(values + v), Vector.Load(inverse + at));
            var a = (x - Vector.Load(means + at)) * over;
            Vector.Store(a, means + at);
            var distance = Vector.Abs(a);
            if (Edges(x))
                distance = Vector.ConditionalSelect(EdgeLanes(x), Vector.Abs(TailArgument(x, a, over)), distance);
            Vector.Store(-distance, blocks.E + at);
        }
        for (var v = 0; v < blocks.Length; v += Vector<float>.Count)
            Vector.Store(VectorMath.Exp(Vector.Load(blocks.E + v)), blocks.E + v);
    }

    /// The channel's part of the log joint, and the derivatives of its mean and log-scale in place of these
    private static void LogMass<TMode>(in Blocks blocks, int channel, float* values)
        where TMode : struct, IMode
    {
        var means = blocks.Part(channel, 0);
        var logScales = blocks.Part(channel, 1);
        var one = Vector<float>.One;
        var (least, most) = (blocks.Least, blocks.Most);
        for (var row = 0; row < blocks.Length; row += blocks.Width)
        for (var v = 0; v < blocks.Width; v += Vector<float>.Count)
        {
            var at = row + v;
            var (x, a, logScale) = (Vector.Load(values + v), Vector.Load(means + at), Vector.Load(logScales + at));
            var (E, lessG, inverse) = (Vector.Load(blocks.E + at), Vector.Load(blocks.LessG + at), Vector.Load(blocks.Inverse + at));
            var g = one + lessG;
            var (E2, g2) = (Vector.MultiplyAddEstimate(E, E, one), Vector.MultiplyAddEstimate(g, g, one)); // 1 + E², 1 + g²
            var D = Vector.MultiplyAddEstimate(E, g2, g * E2);
            var bin = -lessG * (one + g); // 1 − g²
            var overBoth = one / (D * bin);
            var overE = one / (one + E);
            var factorInside = overBoth * bin * bin;
            var inside = Vector.GreaterThan(E * factorInside, new Vector<float>((float)LogisticMixture.LeastMass));
            var factor = Vector.ConditionalSelect(inside, factorInside, overE * overE * new Vector<float>(1 / 127.5f));
            var linear = -Vector.Abs(a) - Vector.AndNot(Vector.MinNative(most, Vector.MaxNative(least, logScale)), inside.As<int, float>());
            if (Edges(x))
            {
                var q = TailArgument(x, a, inverse);
                factor = Vector.ConditionalSelect(EdgeLanes(x), overE, factor);
                linear = Vector.ConditionalSelect(EdgeLanes(x), Vector.MinNative(Vector<float>.Zero, q), linear);
            }
            Vector.Store(Vector.Load(blocks.Factors + at) * factor, blocks.Factors + at);
            Vector.Store(Vector.Load(blocks.Linear + at) + linear, blocks.Linear + at);
            if (!TMode.Gradient)
                continue;

            var lessE = one - E;
            var slopeInside = g * lessE * (one + E) * bin * overBoth;
            var h = inverse * new Vector<float>((float)LogisticMixture.HalfBin);
            var widthInside = h * g * Vector.MultiplyAddEstimate(new Vector<float>(4) * E, g, E2 * g2) * overBoth;
            var slope = Vector.ConditionalSelect(inside, slopeInside, lessE * overE);
            var byWidth = Vector.ConditionalSelect(inside, widthInside, one);
            var byMean = Vector.CopySign(slope, a) * inverse;
            var byScale = Vector.MultiplyAddEstimate(Vector.Abs(a), slope, -byWidth);
            if (Edges(x))
            {
                var q = TailArgument(x, a, inverse);
                var tail = Vector.ConditionalSelect(Vector.LessThan(q, Vector<float>.Zero), one, E) * overE; // σ(−q)
                byMean = Vector.ConditionalSelect(EdgeLanes(x), Vector.CopySign(tail, x) * inverse, byMean);
                byScale = Vector.ConditionalSelect(EdgeLanes(x), -q * tail, byScale);
            }
            Vector.Store(byMean, means + at);
            var outside = Vector.LessThan(logScale, least) | Vector.GreaterThan(logScale, most);
            Vector.Store(Vector.AndNot(byScale, outside.As<int, float>()), logScales + at);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Edges(Vector<float> x) => Vector.GreaterThanAny(Vector.Abs(x), new Vector<float>(0.999f));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<int> EdgeLanes(Vector<float> x) => Vector.GreaterThan(Vector.Abs(x), new Vector<float>(0.999f));

    /// q = h + a at pixel 0, h − a at 255
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> TailArgument(Vector<float> x, Vector<float> a, Vector<float> inverse) =>
        inverse * new Vector<float>((float)LogisticMixture.HalfBin) - a * Vector.CopySign(Vector<float>.One, x);

    /// Through tanh and the shift: ∂/∂coefficient = ∂/∂μ of the shifted channel · earlier value · (1 − tanh²)
    private static void Coefficient(float* coefficients, float* byMean, float* values, in Blocks blocks)
    {
        for (var row = 0; row < blocks.Length; row += blocks.Width)
        for (var v = 0; v < blocks.Width; v += Vector<float>.Count)
        {
            var tanh = Vector.Load(coefficients + row + v);
            var slope = (Vector<float>.One - tanh) * (Vector<float>.One + tanh);
            Vector.Store(Vector.Load(byMean + row + v) * Vector.Load(values + v) * slope, coefficients + row + v);
        }
    }

    /// The tile's nats; exponentials of the joint terms and of the weights in place of these, and their inverse sums
    private static double LogSumOverComponents(in Blocks blocks, int count, float* natsPerPixel)
    {
        var (length, width) = (blocks.Length, blocks.Width);
        for (var v = 0; v < length; v += Vector<float>.Count)
            Vector.Store(Vector.Load(blocks.Linear + v) + VectorMath.Log(Vector.Load(blocks.Factors + v)), blocks.Linear + v);
        var nats = 0.0;
        for (var v = 0; v < width; v += Vector<float>.Count)
        {
            var (most, mostWeight) = (Vector.Load(blocks.Linear + v), Vector.Load(blocks.Weights + v));
            for (var at = v + width; at < length; at += width)
            {
                most = Vector.MaxNative(most, Vector.Load(blocks.Linear + at));
                mostWeight = Vector.MaxNative(mostWeight, Vector.Load(blocks.Weights + at));
            }
            var (total, totalWeight) = (Vector<float>.Zero, Vector<float>.Zero);
            for (var at = v; at < length; at += width)
            {
                var joint = VectorMath.Exp(Vector.Load(blocks.Linear + at) - most);
                Vector.Store(joint, blocks.Linear + at);
                total += joint;
                var weight = VectorMath.Exp(Vector.Load(blocks.Weights + at) - mostWeight);
                Vector.Store(weight, blocks.Weights + at);
                totalWeight += weight;
            }
            Vector.Store(Vector<float>.One / total, blocks.OverJoint + v);
            Vector.Store(Vector<float>.One / totalWeight, blocks.OverWeights + v);
            var perPixel = mostWeight - most + VectorMath.Log(totalWeight) - VectorMath.Log(total);
            if (natsPerPixel != null)
                Vector.Store(perPixel, natsPerPixel + v);
            for (var lane = 0; lane < Math.Min(Vector<float>.Count, count - v); lane++)
                nats += perPixel[lane];
        }
        return nats;
    }

    /// Derivatives of the log joint → derivatives of scale × nats
    private void Weight(in Blocks blocks, float scale)
    {
        for (var row = 0; row < blocks.Length; row += blocks.Width)
        for (var v = 0; v < blocks.Width; v += Vector<float>.Count)
        {
            var at = row + v;
            var posterior = Vector.Load(blocks.Linear + at) * (Vector.Load(blocks.OverJoint + v) * new Vector<float>(-scale));
            var prior = Vector.Load(blocks.Weights + at) * (Vector.Load(blocks.OverWeights + v) * new Vector<float>(scale));
            Vector.Store(prior + posterior, blocks.Weights + at);
            for (
                var slot = blocks.Weights + at + blocks.Length;
                slot < blocks.Weights + OutputChannels * blocks.Width;
                slot += blocks.Length
            )
                Vector.Store(Vector.Load(slot) * posterior, slot);
        }
    }

    private interface IMode
    {
        static abstract bool Gradient { get; }
    }

    private readonly struct WithGradient : IMode
    {
        public static bool Gradient => true;
    }

    private readonly struct WithoutGradient : IMode
    {
        public static bool Gradient => false;
    }
}

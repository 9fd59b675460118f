using DQ.Core.Images;
using DQ.Core.Likelihoods.Context;

namespace DQ.Core.Coding;

/// <summary>Makes integers of a trained context head.</summary>
/// <remarks>
/// Every hidden unit gets its own scale, for a ReLU does not mind: the largest activation on the images given becomes a quarter of the
/// largest integer. Every row of weights gets the largest scale at which no sum of int16 products can leave 32 bits. Units that are 0 on all
/// of these images get no weights: a net leaves them out.
/// </remarks>
public static unsafe class ContextFreezer
{
    /// The share of d = (neighbour − prediction) / σ that the net sees (SPEC: × 0.7).
    private const double DifferenceShare = 0.7;

    private const double UsualActivation = FrozenContext.LargestActivation / 4.0;

    /// What of a sum's range is not used, for the rounding of weights: each is off by half at most.
    private const double SumRange = int.MaxValue * 0.98;

    /// Units that are never far from 0 get no scale beyond a share of what is possible at all: these are tried, until the last layer fits.
    private static readonly double[] LeastActivityShares = [1.0 / 32, 1.0 / 64, 1.0 / 128, 1.0 / 256, 1.0 / 512, 1.0 / 1024];

    /// Dead leaves by whose activations scales are chosen, and how wide they are.
    private const int LeavesImages = 24;
    private const int LeavesWidth = 64;

    /// <summary>Freezes a head; the scales of its activations are chosen on dead leaves, so that they depend on the weights alone.</summary>
    /// <param name="weights">The trained head.</param>
    /// <exception cref="ArgumentException">The head can't be frozen: its floor is too small, or its numbers are too large or not finite.</exception>
    public static FrozenContext Freeze(ContextWeights weights)
    {
        var spec = weights.Spec;
        var pixels = new ContextPixels([.. Enumerable.Repeat((LeavesWidth, LeavesWidth), LeavesImages)], spec.Channels, spec.Radius);
        for (var i = 0; i < LeavesImages; i++)
        {
            var leaves = new PixelImage(DeadLeaves.Generate(0, i, LeavesWidth), 3, LeavesWidth, LeavesWidth).WithChannels(spec.Channels);
            new LosslessPicture(null, leaves, null, null, null).CopyTo(pixels, i, new ChunkPiece(i, false, LeavesWidth, 0, LeavesWidth));
        }
        return Freeze(weights, pixels);
    }

    /// <param name="weights">The trained head.</param>
    /// <param name="images">Of the kind it will code, interleaved; a few dozen do.</param>
    /// <exception cref="ArgumentException">The head can't be frozen: its floor is too small, or its numbers are not finite.</exception>
    internal static FrozenContext Freeze(ContextWeights weights, ContextPixels images)
    {
        var spec = weights.Spec;
        if (Layers(weights).Any(layer => layer.Weight.Concat(layer.Bias).Any(value => !float.IsFinite(value))))
            throw new ArgumentException("expected finite weights", nameof(weights));
        var floor = FrozenContext.FloorUnits(spec.ContrastFloor);
        var activity = Activity(weights, floor, images);
        weights = WithoutDead(weights, activity);
        var inputUnits = new double[spec.Inputs];
        Array.Fill(inputUnits, 1 << FrozenContext.InputBits);
        Array.Fill(inputUnits, (1 << FrozenContext.InputBits) / DifferenceShare, 0, spec.Neighbours * spec.Channels);
        double[] inputLimits = [.. FrozenContext.InputLimits(spec)];
        var candidates = LeastActivityShares.Select(share => Frozen(weights, floor, inputUnits, inputLimits, activity, share));
        return candidates.FirstOrDefault(model => model is not null)
            ?? throw new ArgumentException("the last layer's weights are too large for integers", nameof(weights));
    }

    /// Null where the last layer's weights are too large for these scales.
    private static FrozenContext? Frozen(
        ContextWeights weights,
        int floor,
        double[] inputUnits,
        double[] inputLimits,
        double[][] activity,
        double share
    )
    {
        var spec = weights.Spec;
        var activationLimits = Enumerable.Repeat((double)FrozenContext.LargestActivation, spec.Width).ToArray();
        var (enter, units) = Activated(weights.Enter, inputUnits, inputLimits, activity[0], share);
        var hidden = new List<FrozenLayer>();
        for (var i = 0; i < spec.Depth; i++)
        {
            if (i == 0)
            {
                var (layer, next) = Activated(weights.Hidden[0], units, activationLimits, activity[1], share);
                hidden.Add(layer);
                units = next;
            }
            else
                hidden.Add(Scaled(weights.Hidden[i], units, activationLimits, units, bits => 1L << (bits - 1)));
        }
        var ones = Enumerable.Repeat(1.0, spec.Outputs).ToArray();
        var leave = Scaled(weights.Leave, units, activationLimits, ones, bits => bits > 16 ? 1L << (bits - 17) : 0);
        return leave.Shift < 16 ? null : new FrozenContext(spec, floor, enter, hidden, leave);
    }

    /// No weights from and to units that are 0 on all images; the second list is that of all hidden layers.
    private static ContextWeights WithoutDead(ContextWeights weights, double[][] activity)
    {
        var (first, further) = (activity[0], activity[1]);
        return weights with
        {
            Enter = Cut(weights.Enter, null, first),
            Hidden = [.. weights.Hidden.Select((layer, index) => Cut(layer, index == 0 ? first : further, further))],
            Leave = Cut(weights.Leave, further, null),
        };
    }

    private static ContextLayer Cut(ContextLayer layer, double[]? inputs, double[]? outputs) =>
        layer with
        {
            Weight =
            [
                .. layer.Weight.Select((weight, at) => inputs?[at % layer.Inputs] == 0 || outputs?[at / layer.Inputs] == 0 ? 0 : weight),
            ],
            Bias = [.. layer.Bias.Select((bias, row) => outputs?[row] == 0 ? 0 : bias)],
        };

    private static IEnumerable<ContextLayer> Layers(ContextWeights weights) => [weights.Enter, .. weights.Hidden, weights.Leave];

    /// A layer whose outputs get scales by their activity.
    private static (FrozenLayer Layer, double[] Units) Activated(
        ContextLayer layer,
        double[] units,
        double[] limits,
        double[] activity,
        double share
    )
    {
        var most = MostScales(layer, units, limits);
        var wanted = new double[layer.Outputs];
        var shift = 30.0;
        for (var row = 0; row < layer.Outputs; row++)
        {
            var possible = SumRange / most[row];
            wanted[row] = UsualActivation / Math.Max(activity[row], possible * share);
            if (activity[row] == 0)
                continue;
            shift = Math.Min(shift, Math.Log2(most[row] / wanted[row]));
        }
        var whole = (int)Math.Clamp(Math.Floor(shift), 1, 30);
        var scales = wanted
            .Select((unit, row) => activity[row] == 0 ? Math.Pow(2, whole) : Math.Min(unit * Math.Pow(2, whole), most[row]))
            .ToArray();
        return (Rounded(layer, units, scales, whole, 1L << (whole - 1)), [.. scales.Select(scale => scale / Math.Pow(2, whole))]);
    }

    /// A layer whose outputs have these units, times a power of two as large as possible.
    private static FrozenLayer Scaled(ContextLayer layer, double[] units, double[] limits, double[] outputUnits, Func<int, long> half)
    {
        var most = MostScales(layer, units, limits);
        var shift = most.Select((scale, row) => Math.Log2(scale / outputUnits[row])).Min();
        var bits = (int)Math.Clamp(Math.Floor(shift), 1, 30);
        var scales = outputUnits.Select(unit => unit * Math.Pow(2, bits)).ToArray();
        return Rounded(layer, units, scales, bits, half(bits));
    }

    /// The largest scale of each row's sum.
    private static double[] MostScales(ContextLayer layer, double[] units, double[] limits)
    {
        var most = new double[layer.Outputs];
        for (var row = 0; row < layer.Outputs; row++)
        {
            var sum = Math.Abs((double)layer.Bias[row]) + 1e-9;
            var largest = 0.0;
            for (var input = 0; input < layer.Inputs; input++)
            {
                var weight = Math.Abs(layer.Weight[row * layer.Inputs + input]) / units[input];
                sum += weight * limits[input];
                largest = Math.Max(largest, weight);
            }
            most[row] = Math.Min(SumRange / sum, largest > 0 ? short.MaxValue / largest : double.MaxValue);
        }
        return most;
    }

    private static FrozenLayer Rounded(ContextLayer layer, double[] units, double[] scales, int shift, long half)
    {
        var weights = new short[layer.Weight.Length];
        for (var row = 0; row < layer.Outputs; row++)
        for (var input = 0; input < layer.Inputs; input++)
        {
            var at = row * layer.Inputs + input;
            weights[at] = (short)Math.Round(layer.Weight[at] * scales[row] / units[input]);
        }
        var bias = layer.Bias.Select((value, row) => (int)(Math.Round(value * scales[row]) + half)).ToArray();
        return new FrozenLayer(layer.Inputs, layer.Outputs, weights, bias, shift);
    }

    /// The largest activation of each unit of the two first hidden layers on the images; deeper layers share the second's scale.
    private static double[][] Activity(ContextWeights weights, int floor, ContextPixels images)
    {
        const int MostPixels = 20_000;
        var spec = weights.Spec;
        var tables = new ContrastTables(floor);
        var activity = new[] { new double[spec.Width], new double[spec.Width] };
        var step = (int)Math.Max(1, images.Count / MostPixels);
        var numbers = new short[spec.Inputs];
        var at = 0;
        Span<int> predictions = stackalloc int[3],
            contrasts = stackalloc int[3];
        foreach (var piece in images.Pieces)
            for (var row = 0; row < piece.Height; row++)
            for (var column = 0; column < piece.Width; column++)
            {
                if (at++ % step != 0)
                    continue;
                fixed (byte* bytes = images.Bytes)
                fixed (short* inputs = numbers)
                fixed (
                    int* p = predictions,
                        c = contrasts
                )
                    ContextInputs.Fill(
                        bytes + piece.Origin + row * piece.Stride + column * spec.Channels,
                        piece.Stride,
                        spec,
                        tables,
                        inputs,
                        p,
                        c
                    );
                var values = new float[spec.Inputs];
                for (var i = 0; i < values.Length; i++)
                    values[i] =
                        numbers[i]
                        / (float)(1 << FrozenContext.InputBits)
                        * (i < spec.Neighbours * spec.Channels ? (float)DifferenceShare : 1);
                values = Applied(weights.Enter, values);
                Raise(activity[0], values);
                values = Applied(weights.Hidden[0], values);
                foreach (var further in weights.Hidden.Skip(1))
                {
                    var more = Applied(further, values);
                    for (var i = 0; i < values.Length; i++)
                        values[i] += more[i];
                }
                Raise(activity[1], values);
            }
        return activity;
    }

    private static void Raise(double[] largest, float[] values)
    {
        for (var i = 0; i < values.Length; i++)
            largest[i] = Math.Max(largest[i], values[i]);
    }

    private static float[] Applied(ContextLayer layer, float[] inputs)
    {
        var result = new float[layer.Outputs];
        for (var row = 0; row < layer.Outputs; row++)
        {
            var sum = layer.Bias[row];
            for (var input = 0; input < layer.Inputs; input++)
                sum += layer.Weight[row * layer.Inputs + input] * inputs[input];
            result[row] = Math.Max(0, sum);
        }
        return result;
    }
}

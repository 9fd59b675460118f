using DQ.Core.Likelihoods.Context;

namespace DQ.Core.Coding;

/// <summary>
/// A context head in integers: from pixels to frequencies every number is an integer, so that it is the same on every processor,
/// with any number of threads, whatever the order of its sums.
/// </summary>
/// <remarks>
/// <code>
/// pixels ─ inputs (int16, 12 bits behind the point) ─ enter ─ hidden… (0 … 16383) ─ leave (int32) ─ mixture ─ frequencies
/// </code>
/// </remarks>
public sealed class FrozenContext
{
    /// <summary>Bits behind the point of the net's inputs.</summary>
    internal const int InputBits = 12;

    /// <summary>The largest hidden activation: larger ones are cut.</summary>
    internal const int LargestActivation = (1 << 14) - 1;

    /// <summary>Units of the local contrast to one of a pixel's 255 steps: 30 is the least common denominator of its means, 256 the floor's precision.</summary>
    internal const int ContrastUnits = 30 * 256;

    /// <summary>Floors of the local contrast that inputs of 16 bits can carry, in its units: 1/2048 to 1 of [−1, 1].</summary>
    private const int LeastFloor = ContrastUnits * 255 / 2 / 2048,
        LargestFloor = ContrastUnits * 255 / 2;

    private string? _hash;

    /// <param name="spec">The shape; its floor is the one in <paramref name="floor"/>.</param>
    /// <param name="floor">Least local contrast in units of 1/7680 of a pixel's step.</param>
    /// <param name="enter">The first layer.</param>
    /// <param name="hidden">The layers from width to width: one plain, each further one residual.</param>
    /// <param name="leave">The last layer.</param>
    /// <exception cref="InvalidDataException">Shapes don't fit together, or a sum could overflow.</exception>
    public FrozenContext(ContextSpec spec, int floor, FrozenLayer enter, IReadOnlyList<FrozenLayer> hidden, FrozenLayer leave)
    {
        (Spec, Floor, Enter, Hidden, Leave) = (spec with { ContrastFloor = (double)floor / LargestFloor }, floor, enter, hidden, leave);
        Check();
        Contrast = new ContrastTables(floor);
    }

    /// <summary>Its shape.</summary>
    public ContextSpec Spec { get; }

    internal int Floor { get; }
    internal FrozenLayer Enter { get; }
    internal IReadOnlyList<FrozenLayer> Hidden { get; }
    internal FrozenLayer Leave { get; }
    internal ContrastTables Contrast { get; }

    /// <summary>SHA-256 of the model's content, 64 hexadecimal digits: files name the model they need by it.</summary>
    public string Hash => _hash ??= Sha256.Of(FrozenContextFile.Content(this));

    /// <summary>The floor in units of the local contrast.</summary>
    /// <exception cref="ArgumentException">It is smaller or larger than the integers can carry.</exception>
    internal static int FloorUnits(double floor)
    {
        var units = Math.Round(floor * LargestFloor);
        return units is >= LeastFloor and <= LargestFloor
            ? (int)units
            : throw new ArgumentException($"contrast_floor: expected 1/2048 to 1 for a model in integers, got {floor}");
    }

    /// <summary>The largest size of each input of the net.</summary>
    internal static int[] InputLimits(ContextSpec spec)
    {
        var limits = Enumerable.Repeat((int)short.MaxValue, spec.Inputs).ToArray();
        // the predictions are in [−1, 1]
        Array.Fill(limits, 1 << InputBits, spec.Neighbours * spec.Channels, spec.Channels);
        return limits;
    }

    private void Check()
    {
        if (Spec.Problems().FirstOrDefault() is { } problem)
            throw new InvalidDataException($"{problem.Key}: {problem.Message}");
        if (Floor is < LeastFloor or > LargestFloor)
            throw new InvalidDataException($"contrast floor: expected {LeastFloor} to {LargestFloor}, got {Floor}");
        if (Hidden.Count != Spec.Depth)
            throw new InvalidDataException($"expected {Spec.Depth} hidden layers, got {Hidden.Count}");
        var activations = Enumerable.Repeat(LargestActivation, Spec.Width).ToArray();
        CheckLayer("enter", Enter, Spec.Inputs, Spec.Width, InputLimits(Spec), 1, 30);
        foreach (var layer in Hidden)
            CheckLayer("hidden", layer, Spec.Width, Spec.Width, activations, 1, 30);
        CheckLayer("leave", Leave, Spec.Width, Spec.Outputs, activations, 16, 30);
    }

    private static void CheckLayer(string name, FrozenLayer layer, int inputs, int outputs, int[] limits, int leastShift, int mostShift)
    {
        if (layer.Inputs != inputs || layer.Outputs != outputs)
            throw new InvalidDataException(
                $"{name}: expected {inputs} inputs and {outputs} outputs, got {layer.Inputs} and {layer.Outputs}"
            );
        if (layer.Weights.Length != inputs * outputs || layer.Bias.Length != outputs)
            throw new InvalidDataException($"{name}: expected {inputs * outputs} weights and {outputs} biases");
        if (layer.Shift < leastShift || layer.Shift > mostShift)
            throw new InvalidDataException($"{name}: expected a shift from {leastShift} to {mostShift}, got {layer.Shift}");
        if (layer.Weights.AsSpan().Contains(short.MinValue))
            throw new InvalidDataException($"{name}: expected weights from −32767 to 32767, got −32768");
        for (var row = 0; row < outputs; row++)
            if (layer.LargestSum(row, limits) > int.MaxValue)
                throw new InvalidDataException($"{name}, row {row}: its sum could overflow 32 bits");
    }
}

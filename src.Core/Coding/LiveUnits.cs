namespace DQ.Core.Coding;

/// <summary>The layers of a frozen context head without the units that are 0 whatever their inputs: the same outputs for less work.</summary>
/// <remarks>Training with a high rate leaves many such units, and freezing makes their weights 0.</remarks>
internal sealed class LiveUnits
{
    public LiveUnits(FrozenContext model)
    {
        var limits = Enumerable.Repeat(FrozenContext.LargestActivation, model.Spec.Width).ToArray();
        var entering = Live(model.Enter, FrozenContext.InputLimits(model.Spec));
        // all layers after the first add to the same units
        var hidden = model.Hidden.SelectMany(layer => Live(layer, limits)).Distinct().Order().ToArray();
        Enter = Part(model.Enter, [.. Enumerable.Range(0, model.Enter.Inputs)], entering);
        Hidden = [.. model.Hidden.Select((layer, index) => Part(layer, index == 0 ? entering : hidden, hidden))];
        Leave = Part(model.Leave, hidden, [.. Enumerable.Range(0, model.Leave.Outputs)]);
    }

    public FrozenLayer Enter { get; }
    public IReadOnlyList<FrozenLayer> Hidden { get; }
    public FrozenLayer Leave { get; }

    /// The outputs that can be above 0.
    private static int[] Live(FrozenLayer layer, int[] limits) =>
        [.. Enumerable.Range(0, layer.Outputs).Where(row => layer.HighestSum(row, limits) >> layer.Shift > 0)];

    private static FrozenLayer Part(FrozenLayer layer, int[] inputs, int[] outputs)
    {
        var weights = new short[inputs.Length * outputs.Length];
        var at = 0;
        foreach (var output in outputs)
        foreach (var input in inputs)
            weights[at++] = layer.Weights[output * layer.Inputs + input];
        return new FrozenLayer(inputs.Length, outputs.Length, weights, [.. outputs.Select(output => layer.Bias[output])], layer.Shift);
    }
}

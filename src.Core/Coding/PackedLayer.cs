namespace DQ.Core.Coding;

/// <summary>A layer's weights in the order in which products take them: block of outputs, pair of inputs, output, the two of the pair.</summary>
internal sealed class PackedLayer
{
    /// <param name="layer">The weights; outputs are padded with zeros to whole blocks.</param>
    /// <param name="blockOutputs">Outputs of a block.</param>
    public PackedLayer(FrozenLayer layer, int blockOutputs)
    {
        Pairs = (layer.Inputs + 1) / 2;
        Blocks = (layer.Outputs + blockOutputs - 1) / blockOutputs;
        Shift = layer.Shift;
        Weights = GC.AllocateArray<short>(Blocks * Pairs * blockOutputs * 2, pinned: true);
        Bias = GC.AllocateArray<int>(Blocks * blockOutputs, pinned: true);
        layer.Bias.CopyTo(Bias, 0);
        for (var output = 0; output < layer.Outputs; output++)
        for (var input = 0; input < layer.Inputs; input++)
        {
            var (block, lane) = Math.DivRem(output, blockOutputs);
            Weights[((block * Pairs + input / 2) * blockOutputs + lane) * 2 + input % 2] = layer.Weights[output * layer.Inputs + input];
        }
    }

    public int Pairs { get; }
    public int Blocks { get; }
    public int Shift { get; }

    /// <summary>Pinned, as is <see cref="Bias"/>.</summary>
    public short[] Weights { get; }
    public int[] Bias { get; }
}

using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>
/// A network as a sequence of named layers, so that it can be cut behind any of them into a front f and a back g with
/// g(f(x)) the whole network. Without gradients, in evaluation mode.
/// </summary>
public sealed class LayeredNetwork : IDisposable
{
    private readonly IDisposable owner;
    private readonly Func<Tensor, Tensor> input;
    private readonly (string Name, Func<Tensor, Tensor> Run)[] layers;

    /// <param name="name">What it is, such as <c>resnet18</c>.</param>
    /// <param name="owner">Of the layers' parameters; disposed with this.</param>
    /// <param name="input">Makes the first layer's input from images (B, 3 or 1, rows, columns) uint8.</param>
    /// <param name="layers">In the order in which they are run; none changes its input.</param>
    public LayeredNetwork(
        string name,
        IDisposable owner,
        Func<Tensor, Tensor> input,
        IEnumerable<(string Name, Func<Tensor, Tensor> Run)> layers
    )
    {
        (Name, this.owner, this.input, this.layers) = (name, owner, input, [.. layers]);
    }

    public string Name { get; }

    /// <summary>Names of the layers in the order in which they are run.</summary>
    public IReadOnlyList<string> Layers => [.. layers.Select(layer => layer.Name)];

    /// <summary>Place of a layer in <see cref="Layers"/>; −1 where there is none of that name.</summary>
    public int IndexOf(string layer) => Array.FindIndex(layers, known => known.Name == layer);

    /// <summary>f(x): the output of a layer for images (B, 3 or 1, rows, columns) uint8; the caller's.</summary>
    public Tensor Front(Tensor pixels, int layer)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Run(input(pixels), 0, layer + 1).MoveToOuterDisposeScope();
    }

    /// <summary>g(z): what the layers behind that one make of its output, which stays as it is; the caller's.</summary>
    public Tensor Back(Tensor features, int layer)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Run(features.alias(), layer + 1, layers.Length).MoveToOuterDisposeScope();
    }

    public void Dispose() => owner.Dispose();

    /// Each layer's input is given back as soon as its output is there.
    private Tensor Run(Tensor current, int first, int end)
    {
        for (var index = first; index < end; index++)
        {
            var next = layers[index].Run(current);
            current.Dispose();
            current = next;
        }
        return current;
    }
}

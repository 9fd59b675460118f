using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>
/// A network as a sequence of named layers, so that it can be cut behind any of them into a front f and a back g with
/// g(f(x)) the whole network. It runs without gradients, in evaluation mode.
/// </summary>
public sealed class LayeredNetwork : IDisposable
{
    private readonly IDisposable owner;
    private readonly Func<Tensor, Tensor> input;
    private readonly (string Name, Func<Tensor, Tensor> Run)[] layers;

    /// <param name="name">Name of the network, such as <c>resnet18</c>.</param>
    /// <param name="owner">The owner of the layers' parameters, which is disposed with this object.</param>
    /// <param name="input">Makes the first layer's input from images (B, 3 or 1, rows, columns) uint8.</param>
    /// <param name="layers">Layers in their order; none changes its input.</param>
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

    /// <summary>Names of the layers in their order.</summary>
    public IReadOnlyList<string> Layers => [.. layers.Select(layer => layer.Name)];

    /// <summary>Index of a layer in <see cref="Layers"/>; −1 if none has this name.</summary>
    public int IndexOf(string layer) => Array.FindIndex(layers, known => known.Name == layer);

    /// <summary>f(x): the output of a layer for images (B, 3 or 1, rows, columns) uint8; the caller disposes it.</summary>
    public Tensor Front(Tensor pixels, int layer)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Run(input(pixels), 0, layer + 1).MoveToOuterDisposeScope();
    }

    /// <summary>g(z): the output of the layers behind this layer for its output z, which is not changed. The caller disposes the
    /// result.</summary>
    public Tensor Back(Tensor features, int layer)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Run(features.alias(), layer + 1, layers.Length).MoveToOuterDisposeScope();
    }

    public void Dispose() => owner.Dispose();

    /// Each layer's input is disposed as soon as its output has been computed.
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

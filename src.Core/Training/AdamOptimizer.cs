using TorchSharp.Modules;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>
/// Adam with decoupled weight decay. Clipping by the global gradient norm is part of the update. On a CPU the update is one vectorized pass
/// over parameters, gradients and moments, in parallel; on a GPU see <see cref="FlatAdam"/>.
/// </summary>
/// <remarks>
/// Kingma &amp; Ba 2015; Loshchilov &amp; Hutter 2019 for the decay. First moments decay by 0.9, ε = 1e-8 outside the root, bias
/// correction as in PyTorch. Gradients are scaled by min(1, clip / (norm + 1e-6)), as in PyTorch.
/// </remarks>
public sealed class AdamOptimizer : IDisposable
{
    private const double Beta1 = 0.9;
    private const double Epsilon = 1e-8;

    private readonly (string Name, Parameter Value)[] parameters;
    private readonly double beta2;
    private readonly Tensor[] values;
    private readonly Tensor[] first;
    private readonly Tensor[] second;
    private readonly Tensor?[] held;
    private AdamPass? onCpu;
    private FlatAdam? onDevice;
    private bool holding;

    /// <param name="parameters">Parameters by state-dict name; all float32 and contiguous.</param>
    /// <param name="secondMoment">Decay of the second moments per update.</param>
    public AdamOptimizer(IEnumerable<(string name, Parameter parameter)> parameters, double secondMoment = 0.999)
    {
        beta2 = secondMoment;
        this.parameters = [.. parameters];
        values = [.. this.parameters.Select(entry => entry.Value)];
        held = new Tensor?[values.Length];
        first = [.. this.parameters.Select(entry => zeros_like(entry.Value).requires_grad_(false).DetachFromDisposeScope())];
        second = [.. this.parameters.Select(entry => zeros_like(entry.Value).requires_grad_(false).DetachFromDisposeScope())];
    }

    /// <summary>Number of updates made; part of the state (bias correction).</summary>
    public long Updates { get; set; }

    /// <summary>First and second moments by name (<c>first.…</c>, <c>second.…</c>); not copies.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        parameters.SelectMany(
            (entry, index) =>
                new KeyValuePair<string, Tensor>[] { new($"first.{entry.Name}", first[index]), new($"second.{entry.Name}", second[index]) }
        );

    /// <summary>The gradients there are; not copies. They are this optimizer's until the next update.</summary>
    internal IEnumerable<Tensor> PresentGradients => Gradients().OfType<Tensor>();

    /// <summary>Euclidean norm of all gradients together, accumulated in float64. It does not depend on the number of threads.</summary>
    public double GradientNorm()
    {
        if (Pass is { } pass)
            return Math.Sqrt(pass.SumOfSquares(Gradients()));
        using var scope = NewDisposeScope();
        return Math.Sqrt(FlatAdam.SumOfSquares(Gathered()).item<double>());
    }

    /// <summary>On a GPU: all gradients one after the other (N), from which the next update is made.</summary>
    internal Tensor Gathered() => OnDevice.Gather(Gradients());

    /// <summary>The update of a GPU.</summary>
    internal FlatAdam OnDevice => onDevice ??= new FlatAdam(values, first, second);

    /// <summary>Makes one update from the present gradients.</summary>
    /// <param name="rate">Learning rate.</param>
    /// <param name="decay">Decoupled weight decay, multiplied by the rate.</param>
    /// <param name="scale">Factor of the gradients before the update (clipping).</param>
    public void Update(double rate, double decay, double scale)
    {
        using var _ = no_grad();
        Updates++;
        var factors = new AdamFactors(
            Beta1,
            beta2,
            Epsilon,
            rate / (1 - Math.Pow(Beta1, Updates)),
            Math.Sqrt(1 - Math.Pow(beta2, Updates)),
            1 - rate * decay,
            scale
        );
        if (Pass is { } pass)
            pass.Update(Gradients(), factors);
        else
        {
            if (!OnDevice.HasGradient)
                Gathered();
            OnDevice.Update(factors);
        }
        Release();
    }

    /// <summary>Removes the gradients; the next backward pass creates new ones and adds nothing to old ones.</summary>
    public void ClearGradients()
    {
        Release();
        onDevice?.Drop();
        foreach (var (_, parameter) in parameters)
            parameter.grad = null;
    }

    public void Dispose()
    {
        Release();
        foreach (var moment in first.Concat(second))
            moment.Dispose();
        onDevice?.Dispose();
    }

    /// Null on a GPU. Created at first use, since models move between devices before they are trained
    private AdamPass? Pass =>
        onCpu ??= values.All(value => value.device_type == TorchSharp.DeviceType.CPU) ? new(values, first, second) : null;

    /// Stored from the norm to the update, because each read of the gradients creates a new object per parameter
    private Tensor?[] Gradients()
    {
        if (!holding)
            for (var index = 0; index < parameters.Length; index++)
                held[index] = parameters[index].Value.grad?.DetachFromDisposeScope();
        holding = true;
        return held;
    }

    private void Release()
    {
        foreach (var gradient in held)
            gradient?.Dispose();
        Array.Clear(held);
        holding = false;
    }
}

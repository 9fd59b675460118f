using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>
/// Adam with decoupled weight decay. Clipping by the global gradient norm is folded into the update, which on a CPU is one
/// vectorized pass over parameters, gradients and moments.
/// </summary>
/// <remarks>
/// Kingma &amp; Ba 2015; Loshchilov &amp; Hutter 2019 for the decay. Moments 0.9 and 0.999, ε = 1e-8 outside the root, bias
/// correction as in PyTorch. Gradient scaling is min(1, clip / (norm + 1e-6)), PyTorch's.
/// </remarks>
public sealed class AdamOptimizer : IDisposable
{
    private const double Beta1 = 0.9;
    private const double Beta2 = 0.999;
    private const double Epsilon = 1e-8;

    private readonly (string Name, Parameter Value)[] parameters;
    private readonly Tensor[] first;
    private readonly Tensor[] second;
    private readonly Tensor?[] held;
    private bool holding;

    /// <param name="parameters">By state-dict name; all float32 and contiguous.</param>
    public AdamOptimizer(IEnumerable<(string name, Parameter parameter)> parameters)
    {
        this.parameters = [.. parameters];
        held = new Tensor?[this.parameters.Length];
        first = [.. this.parameters.Select(entry => zeros_like(entry.Value).requires_grad_(false).DetachFromDisposeScope())];
        second = [.. this.parameters.Select(entry => zeros_like(entry.Value).requires_grad_(false).DetachFromDisposeScope())];
    }

    /// <summary>Updates made; part of the state (bias correction).</summary>
    public long Updates { get; set; }

    /// <summary>First and second moments by name (<c>first.…</c>, <c>second.…</c>); not copies.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        parameters.SelectMany(
            (entry, index) =>
                new KeyValuePair<string, Tensor>[] { new($"first.{entry.Name}", first[index]), new($"second.{entry.Name}", second[index]) }
        );

    /// <summary>Euclidean norm of all gradients together, accumulated in float64.</summary>
    public double GradientNorm()
    {
        var sum = 0.0;
        foreach (var gradient in Gradients())
            if (gradient is not null)
                sum +=
                    gradient.device_type == TorchSharp.DeviceType.CPU
                        ? SumOfSquares(Floats(gradient))
                        : gradient.square().sum(ScalarType.Float64).item<double>();
        return Math.Sqrt(sum);
    }

    /// <summary>One update from the gradients there are.</summary>
    /// <param name="rate">Learning rate.</param>
    /// <param name="decay">Decoupled weight decay, multiplied by the rate.</param>
    /// <param name="scale">What gradients are multiplied by first (clipping).</param>
    public void Update(double rate, double decay, double scale)
    {
        using var _ = no_grad();
        var gradients = Gradients();
        Updates++;
        var step = rate / (1 - Math.Pow(Beta1, Updates));
        var rootCorrection = Math.Sqrt(1 - Math.Pow(Beta2, Updates));
        for (var index = 0; index < parameters.Length; index++)
        {
            var value = parameters[index].Value;
            if (gradients[index] is not { } gradient)
                continue;
            if (value.device_type == TorchSharp.DeviceType.CPU)
                UpdateOnCpu(
                    Floats(value),
                    Floats(gradient),
                    Floats(first[index]),
                    Floats(second[index]),
                    (float)step,
                    (float)rootCorrection,
                    (float)(1 - rate * decay),
                    (float)scale
                );
            else
                UpdateOnDevice(value, gradient, first[index], second[index], step, rootCorrection, 1 - rate * decay, scale);
        }
        Release();
    }

    /// <summary>Drops the gradients; the next backward pass makes new ones without adding.</summary>
    public void ClearGradients()
    {
        Release();
        foreach (var (_, parameter) in parameters)
            parameter.grad = null;
    }

    public void Dispose()
    {
        Release();
        foreach (var moment in first.Concat(second))
            moment.Dispose();
    }

    /// Held from the norm to the update: each time they are asked for makes a new object per parameter
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

    private static Span<float> Floats(Tensor tensor) =>
        tensor.is_contiguous() && tensor.dtype == ScalarType.Float32
            ? MemoryMarshal.Cast<byte, float>(tensor.bytes)
            : throw new InvalidOperationException($"expected a contiguous float32 tensor, got {tensor.dtype}");

    private static double SumOfSquares(ReadOnlySpan<float> values)
    {
        var low = Vector256<double>.Zero;
        var high = Vector256<double>.Zero;
        var index = 0;
        for (; index <= values.Length - Vector256<float>.Count; index += Vector256<float>.Count)
        {
            var (lower, upper) = Vector256.Widen(Vector256.Create(values[index..]));
            low += lower * lower;
            high += upper * upper;
        }
        var sum = Vector256.Sum(low + high);
        for (; index < values.Length; index++)
            sum += (double)values[index] * values[index];
        return sum;
    }

    private static void UpdateOnCpu(
        Span<float> value,
        ReadOnlySpan<float> gradient,
        Span<float> first,
        Span<float> second,
        float step,
        float rootCorrection,
        float keep,
        float scale
    )
    {
        var index = 0;
        var (one, two) = (Vector256.Create((float)Beta1), Vector256.Create((float)Beta2));
        var (oneRest, twoRest) = (Vector256.Create((float)(1 - Beta1)), Vector256.Create((float)(1 - Beta2)));
        var (wideStep, wideKeep, wideScale) = (Vector256.Create(step), Vector256.Create(keep), Vector256.Create(scale));
        var (inverseRoot, epsilon) = (Vector256.Create(1 / rootCorrection), Vector256.Create((float)Epsilon));
        for (; index <= value.Length - Vector256<float>.Count; index += Vector256<float>.Count)
        {
            var slope = Vector256.Create(gradient[index..]) * wideScale;
            var mean = Vector256.Create<float>(first[index..]) * one + slope * oneRest;
            var square = Vector256.Create<float>(second[index..]) * two + slope * slope * twoRest;
            mean.CopyTo(first[index..]);
            square.CopyTo(second[index..]);
            var denominator = Vector256.Sqrt(square) * inverseRoot + epsilon;
            (Vector256.Create<float>(value[index..]) * wideKeep - wideStep * mean / denominator).CopyTo(value[index..]);
        }
        for (; index < value.Length; index++)
        {
            var slope = gradient[index] * scale;
            first[index] = first[index] * (float)Beta1 + slope * (float)(1 - Beta1);
            second[index] = second[index] * (float)Beta2 + slope * slope * (float)(1 - Beta2);
            value[index] = value[index] * keep - step * first[index] / (MathF.Sqrt(second[index]) / rootCorrection + (float)Epsilon);
        }
    }

    private static void UpdateOnDevice(
        Tensor value,
        Tensor gradient,
        Tensor first,
        Tensor second,
        double step,
        double rootCorrection,
        double keep,
        double scale
    )
    {
        using var scope = NewDisposeScope();
        var slope = gradient * scale;
        first.mul_(Beta1).add_(slope, alpha: 1 - Beta1);
        second.mul_(Beta2).addcmul_(slope, slope, 1 - Beta2);
        value.mul_(keep).addcdiv_(first, second.sqrt().div_(rootCorrection).add_(Epsilon), -step);
    }
}

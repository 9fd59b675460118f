using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>Adam on a GPU: parameters, moments and gradients lie one after the other in one tensor each (N), so that an update is a
/// handful of launches however many parameters there are.</summary>
internal sealed class FlatAdam : IDisposable
{
    private readonly Tensor[] parts; // views of the parameters
    private readonly (long Start, long Count)[] places;
    private readonly Tensor values;
    private readonly Tensor first;
    private readonly Tensor second;
    private bool[] present = [];
    private Tensor? gradient;
    private bool lent;

    /// <param name="values">Parameters, contiguous float32 on one device. Their memory moves; the handles stay.</param>
    /// <param name="first">Their first moments, as above.</param>
    /// <param name="second">Their second moments, as above.</param>
    public FlatAdam(Tensor[] values, Tensor[] first, Tensor[] second)
    {
        using var _ = no_grad();
        parts = values;
        places = new (long, long)[values.Length];
        var start = 0L;
        foreach (var (index, value) in values.Index())
        {
            places[index] = (start, value.numel());
            start += value.numel();
        }
        this.values = Joined(values);
        this.first = Joined(first);
        this.second = Joined(second);
    }

    /// <summary>True between the gathering or lending of gradients and the update that uses them.</summary>
    public bool HasGradient => gradient is not null;

    /// <summary>Puts gradients one after the other.</summary>
    /// <param name="gradients">One per parameter; a parameter without one is not updated.</param>
    public Tensor Gather(Tensor?[] gradients)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Drop();
        present = [.. gradients.Select(slope => slope is not null)];
        var pieces = gradients.Select((slope, index) => slope is null ? zeros_like(parts[index]).view(-1) : slope.reshape(-1));
        lent = false;
        return gradient = cat([.. pieces], 0).DetachFromDisposeScope();
    }

    /// <summary>Makes the next update from gradients (N) that stay the caller's, in the order of <see cref="Gather"/>.</summary>
    public void Lend(Tensor gathered)
    {
        Drop();
        (gradient, lent) = (gathered, true);
    }

    /// <summary>The caller takes over the gathered gradients.</summary>
    public Tensor Release()
    {
        var taken = gradient ?? throw new InvalidOperationException("no gradients were gathered");
        (gradient, lent) = (null, false);
        return taken;
    }

    /// <summary>Sum of squares in float64, a scalar on the device.</summary>
    public static Tensor SumOfSquares(Tensor gathered) => gathered.Squared().sum(ScalarType.Float64);

    public void Update(AdamFactors factors)
    {
        var slopes = gradient ?? throw new InvalidOperationException("no gradients were gathered");
        if (present.All(has => has))
            Update(values, slopes, first, second, factors);
        else
            foreach (var (start, count) in places.Where((_, index) => present[index]))
            {
                using var scope = NewDisposeScope();
                Tensor Piece(Tensor all) => all.narrow(0, start, count);
                Update(Piece(values), Piece(slopes), Piece(first), Piece(second), factors);
            }
        Drop();
    }

    public void Dispose()
    {
        Drop();
        values.Dispose();
        first.Dispose();
        second.Dispose();
    }

    internal static void Update(Tensor value, Tensor gradient, Tensor first, Tensor second, AdamFactors factors)
    {
        using var scope = NewDisposeScope();
        var slope = gradient * Kept(factors.Scale);
        first.mul_(Kept(factors.Beta1)).add_(slope, alpha: Kept(1 - factors.Beta1));
        second.mul_(Kept(factors.Beta2)).addcmul_(slope, slope, Kept(1 - factors.Beta2));
        value
            .mul_(Kept(factors.Keep))
            .addcdiv_(first, second.sqrt().div_(Kept(factors.RootCorrection)).add_(Kept(factors.Epsilon), One), Kept(-factors.Step));
    }

    /// Moves tensors into one and makes them views of it
    private Tensor Joined(Tensor[] tensors)
    {
        using var scope = NewDisposeScope();
        var joined = cat([.. tensors.Select(tensor => tensor.detach().reshape(-1))], 0);
        foreach (var (tensor, (start, count)) in tensors.Zip(places))
            tensor.set_(joined.narrow(0, start, count).view(tensor.shape));
        return joined.DetachFromDisposeScope();
    }

    /// <summary>Forgets gradients of an update that is not made.</summary>
    public void Drop()
    {
        if (!lent)
            gradient?.Dispose();
        (gradient, lent) = (null, false);
    }
}

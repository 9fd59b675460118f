using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>
/// A moving average of a model's weights, codebooks and running statistics: average ← d·average + (1 − d)·model after every update.
/// Whole numbers in the state are no part of it.
/// </summary>
/// <remarks>
/// Polyak &amp; Juditsky 1992. The first steps are far from where training ends, so d grows as (1 + n)/(10 + n) with the n updates
/// made, up to the decay, as in TensorFlow's <c>ExponentialMovingAverage</c>.
/// </remarks>
public sealed class WeightAverage : IDisposable
{
    private readonly double decay;
    private readonly (string Name, Tensor Trained, Tensor Mean)[] entries;

    /// <param name="model">On the device where it is trained.</param>
    /// <param name="decay">In (0, 1).</param>
    public WeightAverage(nn.Module model, double decay)
    {
        this.decay = decay;
        entries =
        [
            .. model
                .state_dict()
                .Where(entry => entry.Value.is_floating_point())
                .Select(entry => (entry.Key, entry.Value, entry.Value.detach().clone().DetachFromDisposeScope())),
        ];
    }

    /// <summary>By state-dict name; not copies.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State => entries.Select(entry => KeyValuePair.Create(entry.Name, entry.Mean));

    /// <summary>Begins with the model as it is.</summary>
    public void Begin() => EachOnItsOwn((trained, mean) => mean.copy_(trained));

    /// <summary>After an update of the model.</summary>
    /// <param name="updates">Made so far, this one among them.</param>
    public void Update(long updates)
    {
        var kept = Math.Min(decay, (1.0 + updates) / (10.0 + updates));
        EachOnItsOwn((trained, mean) => mean.mul_(Kept(kept)).add_(trained, alpha: Kept(1 - kept)));
    }

    /// <summary>Exchanges the model's values and the average's, bit for bit; a second time, back.</summary>
    public void Swap() =>
        EachOnItsOwn(
            (trained, mean) =>
            {
                var kept = trained.clone();
                trained.copy_(mean);
                mean.copy_(kept);
            }
        );

    public void Dispose()
    {
        foreach (var (_, _, mean) in entries)
            mean.Dispose();
    }

    private void EachOnItsOwn(Action<Tensor, Tensor> work)
    {
        using var _ = no_grad();
        foreach (var (_, trained, mean) in entries)
        {
            using var scope = NewDisposeScope();
            work(trained.detach(), mean);
        }
    }
}

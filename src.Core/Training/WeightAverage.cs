using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>
/// A moving average of a model's weights, codebooks and running statistics: average ← d·average + (1 − d)·model after every update.
/// Integers in the state are not averaged.
/// </summary>
/// <remarks>
/// Polyak &amp; Juditsky 1992. The first weights are far from the final ones. So d grows with the number n of updates as (1 + n)/(10 + n),
/// up to the decay, as in TensorFlow's <c>ExponentialMovingAverage</c>.
/// </remarks>
public sealed class WeightAverage : IDisposable
{
    private readonly double decay;
    private readonly (string Name, Tensor Trained, Tensor Mean)[] entries;

    /// <param name="model">The model, on the device of its training.</param>
    /// <param name="decay">Decay in (0, 1).</param>
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

    /// <summary>Averages by state-dict name; not copies.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State => entries.Select(entry => KeyValuePair.Create(entry.Name, entry.Mean));

    /// <summary>Begins with the model's present values.</summary>
    public void Begin() => EachOnItsOwn((trained, mean) => mean.copy_(trained));

    /// <summary>Updates the average after an update of the model.</summary>
    /// <param name="updates">Number of updates so far, with this one.</param>
    public void Update(long updates)
    {
        var kept = Math.Min(decay, (1.0 + updates) / (10.0 + updates));
        EachOnItsOwn((trained, mean) => mean.mul_(Kept(kept)).add_(trained, alpha: Kept(1 - kept)));
    }

    /// <summary>Exchanges the values of the model and of the average, bit for bit. A second call restores them.</summary>
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

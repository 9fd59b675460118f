using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>Checks that all values of tensors are finite: one NaN among the weights makes every result of a model meaningless.</summary>
public static class FiniteValues
{
    private const int Named = 3;

    /// <summary>Describes the values that are not finite as float32, such as "3 of 12 values of 'decoder.0.weight' are not finite"; null if
    /// all are finite.</summary>
    public static string? Problem(IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var problems = new List<string>();
        foreach (var (name, tensor) in tensors)
        {
            if (!tensor.is_floating_point())
                continue;
            using var inner = NewDisposeScope();
            var count = tensor.numel() - tensor.to_type(ScalarType.Float32).isfinite().sum().item<long>();
            if (count > 0)
                problems.Add($"{count} of {tensor.numel()} values of {WeightsException.Quote(name)} are not finite");
        }
        return problems.Count == 0 ? null
            : problems.Count <= Named ? string.Join(", ", problems)
            : $"{string.Join(", ", problems.Take(Named))}, and of {problems.Count - Named} more tensors";
    }
}

using DQ.Core.Formats;
using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>A network's tensors from a file that names them as the network does.</summary>
internal static class NetworkWeights
{
    private const int Shown = 3;

    /// <param name="network">Its parameters and buffers are overwritten.</param>
    /// <param name="file">What is read.</param>
    /// <param name="path">Of the file, for messages.</param>
    /// <param name="what">Which network is expected.</param>
    /// <param name="unread">Whether a tensor of the file may be there unread.</param>
    /// <exception cref="WeightsException">Names or sizes differ; names the file and the first differences.</exception>
    public static void Fill(nn.Module network, TensorFile file, string path, string what, Func<string, bool> unread)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var state = network.state_dict();
        // batches that batch normalization has seen: counts nothing here, and older files lack them
        bool Optional(string name) => name.EndsWith(".num_batches_tracked", StringComparison.Ordinal);
        var differences = new List<string>();
        foreach (var (name, expected) in state)
            if (!file.Shapes.TryGetValue(name, out var shape))
            {
                if (!Optional(name))
                    differences.Add($"{name} {Show(expected.shape)} is missing");
            }
            else if (!shape.SequenceEqual(expected.shape))
                differences.Add($"{name} is {Show(shape)} instead of {Show(expected.shape)}");
        differences.AddRange(
            file.Shapes.Keys.Where(name => !state.ContainsKey(name) && !unread(name))
                .Select(name => $"{WeightsException.Quote(name)} is none of its tensors")
        );
        if (differences.Count > 0)
            throw new WeightsException(
                $"{path}: expected {what}: {string.Join("; ", differences.Take(Shown))}"
                    + (differences.Count > Shown ? $"; and {differences.Count - Shown} more" : "")
            );
        foreach (var (name, target) in state)
            if (!Optional(name))
                target.copy_(file.Read(name));
    }

    private static string Show(IEnumerable<long> shape) => $"({string.Join(", ", shape)})";
}

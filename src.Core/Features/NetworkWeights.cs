using DQ.Core.Formats;
using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>Copies a network's tensors from a file that uses the network's names.</summary>
internal static class NetworkWeights
{
    private const int Shown = 3;

    /// <param name="network">The network whose parameters and buffers are overwritten.</param>
    /// <param name="file">The tensors of the file.</param>
    /// <param name="path">Path of the file, for messages.</param>
    /// <param name="what">Name of the expected network, for messages.</param>
    /// <param name="unread">Whether the file may contain this tensor although it is not read.</param>
    /// <exception cref="WeightsException">Names or sizes differ; the message names the file and the first differences.</exception>
    public static void Fill(nn.Module network, TensorFile file, string path, string what, Func<string, bool> unread)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var state = network.state_dict();
        // the number of batches seen by batch normalization is not used here, and older files lack it
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

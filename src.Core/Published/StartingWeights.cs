using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using DQ.Core.Training;
using static TorchSharp.torch;

namespace DQ.Core.Published;

/// <summary>Copies weights of a file into a new model. Tensors with the name and shape of a model's tensor are copied; the others keep
/// their new values.</summary>
public static class StartingWeights
{
    private const int Shown = 5;

    /// <summary>Prefix of the names of codes and their statistics.</summary>
    private const string Codes = "quantizer";

    /// <summary>Copies the tensors that fit.</summary>
    /// <param name="path">
    /// A checkpoint or an export of this program, a safetensors file, or a state dict written by <c>torch.save</c>; also with the published
    /// implementation's names.
    /// </param>
    /// <param name="objective">The objective of the model. It keeps its codes if all of them are in the file.</param>
    /// <returns>One line: the number of copied tensors, and the new ones with the reasons.</returns>
    /// <exception cref="WeightsException">The file can't be read, holds values that are not finite, or no tensor fits.</exception>
    public static string Take(string path, IObjective objective)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var stored = Read(path, objective.Network);
        if (FiniteValues.Problem(stored) is { } broken)
            throw new WeightsException($"{path}: no model can start from it: {broken}");
        var state = objective.Network.state_dict();
        var differences = new List<string>();
        var areCodesTaken = true;
        foreach (var (name, target) in state)
            if (Difference(name, target, stored) is { } difference)
            {
                differences.Add(difference);
                areCodesTaken &= !name.StartsWith(Codes, StringComparison.Ordinal);
            }
            else
                target.copy_(stored[name]);
        var taken = state.Count - differences.Count;
        var listed =
            string.Join(", ", differences.Take(Shown)) + (differences.Count > Shown ? $" and {differences.Count - Shown} more" : "");
        if (taken == 0)
            throw new WeightsException($"{path}: expected weights of this model, none of its {state.Count} tensors fits: {listed}");
        if (areCodesTaken)
            objective.KeepCodes();
        return differences.Count == 0
            ? $"all {taken} tensors taken"
            : $"{taken} of {state.Count} tensors taken; new: {listed}" + (areCodesTaken ? "" : "; the first codes are chosen again");
    }

    private static string? Difference(string name, Tensor expected, IReadOnlyDictionary<string, Tensor> stored) =>
        !stored.TryGetValue(name, out var found) ? $"{name} (not in the file)"
        : !found.shape.SequenceEqual(expected.shape) ? $"{name} (expected {Shape(expected.shape)}, found {Shape(found.shape)})"
        : null;

    private static string Shape(long[] sizes) => $"({string.Join(", ", sizes)})";

    private static IReadOnlyDictionary<string, Tensor> Read(string path, nn.Module model)
    {
        if (IsCheckpoint(path))
        {
            using var checkpoint = new CheckpointFile(path);
            return checkpoint.Names.ToDictionary(name => name, checkpoint.Read);
        }
        if (model is HierarchicalAutoencoder autoencoder)
        {
            using var source = WeightsSource.Open(path);
            return source.ReadFor(autoencoder);
        }
        using var file = TensorFile.Open(path);
        return file.Shapes.Keys.ToDictionary(name => name, file.Read);
    }

    private static bool IsCheckpoint(string path)
    {
        if (!TensorFile.IsSafeTensors(path))
            return false;
        using var file = SafeTensorsFile.Open(path);
        return file.Metadata.ContainsKey("progress");
    }
}

using System.Globalization;
using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using static TorchSharp.torch;

namespace DQ.Core.Published;

/// <summary>The names of the tensors of an export.</summary>
public enum WeightNames
{
    /// <summary>This program's state dict.</summary>
    Ours,

    /// <summary>The published implementation's, see <see cref="ReferenceNames"/>.</summary>
    Reference,
}

/// <summary>
/// Writes a model's weights and codebooks for other programs: a safetensors file of the bare state dict, whose metadata has the model's
/// spec (<c>spec</c>, JSON) and its training steps, so that <see cref="WeightsSource"/> needs no other file.
/// </summary>
public static class WeightsExport
{
    internal const string SpecKey = "spec";
    internal const string StepsKey = "steps";

    /// <param name="path">An existing file is replaced. The file is written completely or not at all.</param>
    /// <param name="model">The model.</param>
    /// <param name="names">The kind of names.</param>
    /// <param name="steps">Number of training steps made.</param>
    /// <exception cref="ArgumentException">Published names are not possible, because the published implementation does not have this
    /// model.</exception>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public static void Write(string path, HierarchicalAutoencoder model, WeightNames names, long steps)
    {
        using var scope = NewDisposeScope();
        var ours = model.state_dict();
        SafeTensorsFile.Write(
            path,
            names == WeightNames.Reference ? new ReferenceNames(model).ToReference(ours) : ours,
            new Dictionary<string, string>
            {
                ["format"] = "pt", // readers for PyTorch look for this
                [SpecKey] = SpecJson.Write(model.Spec),
                [StepsKey] = steps.ToString(CultureInfo.InvariantCulture),
            }
        );
    }
}

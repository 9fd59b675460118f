using System.Globalization;
using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using static TorchSharp.torch;

namespace DQ.Core.Published;

/// <summary>Whose names the tensors of an export have.</summary>
public enum WeightNames
{
    /// <summary>This program's state dict.</summary>
    Ours,

    /// <summary>The published implementation's, see <see cref="ReferenceNames"/>.</summary>
    Reference,
}

/// <summary>
/// Writes a model's weights and codebooks for other programs: a safetensors file of the bare state dict, whose metadata says
/// the model (<c>spec</c>, JSON) and its training steps, so that <see cref="WeightsSource"/> needs nothing else.
/// </summary>
public static class WeightsExport
{
    internal const string SpecKey = "spec";
    internal const string StepsKey = "steps";

    /// <param name="path">Replaced when it is there; appears whole or not at all.</param>
    /// <param name="model">What is written.</param>
    /// <param name="names">Whose names.</param>
    /// <param name="steps">Training steps made.</param>
    /// <exception cref="ArgumentException">Reference names for a model the published implementation does not have.</exception>
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
                ["format"] = "pt", // what readers for PyTorch look for
                [SpecKey] = SpecJson.Write(model.Spec),
                [StepsKey] = steps.ToString(CultureInfo.InvariantCulture),
            }
        );
    }
}

using System.Globalization;
using DQ.Core.Classification;
using DQ.Core.Formats;
using static TorchSharp.torch;

namespace DQ.Core.Published;

/// <summary>Writes a classifier's weights for other programs: a safetensors file of the bare state dict.</summary>
public static class ClassifierExport
{
    private const string Backbone = "backbone.";
    private const string Head = "head.";

    /// <summary>Why torchvision has no names for a model; null where it has.</summary>
    public static string? WhyNotTorchvision(ClassifierSpec spec) =>
        spec.Backbone != "resnet18" ? $"torchvision has no backbone '{spec.Backbone}'"
        : spec.Input != ClassifierInput.Pixels || spec.Quantized != "none" ? "torchvision's networks have no codes"
        : null;

    /// <param name="path">Replaced when it is there; appears whole or not at all.</param>
    /// <param name="model">What is written.</param>
    /// <param name="torchvision">Under the names of its <c>resnet18</c>, whose <c>fc</c> is the head here; else under ours.</param>
    /// <param name="steps">Training steps made.</param>
    /// <exception cref="ArgumentException">torchvision has no such model.</exception>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public static void Write(string path, Classifier model, bool torchvision, long steps)
    {
        if (torchvision && WhyNotTorchvision(model.Spec) is { } reason)
            throw new ArgumentException(reason, nameof(torchvision));
        using var scope = NewDisposeScope();
        SafeTensorsFile.Write(
            path,
            model.state_dict().Select(entry => KeyValuePair.Create(torchvision ? Theirs(entry.Key) : entry.Key, entry.Value)),
            new Dictionary<string, string>
            {
                ["format"] = "pt", // what readers for PyTorch look for
                ["classifier"] = model.Spec.ToJson(),
                ["steps"] = steps.ToString(CultureInfo.InvariantCulture),
            }
        );
    }

    private static string Theirs(string name) =>
        name.StartsWith(Backbone, StringComparison.Ordinal) ? name[Backbone.Length..]
        : name.StartsWith(Head, StringComparison.Ordinal) ? $"fc.{name[Head.Length..]}"
        : name;
}

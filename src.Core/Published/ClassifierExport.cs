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

    /// <summary>The reason why torchvision has no names for a model; null if it has.</summary>
    public static string? WhyNotTorchvision(ClassifierSpec spec) =>
        spec.Backbone != "resnet18" ? $"torchvision has no backbone '{spec.Backbone}'"
        : spec.Input != ClassifierInput.Pixels || spec.Quantized != "none" ? "torchvision's networks have no codes"
        : null;

    /// <param name="path">An existing file is replaced. The file is written completely or not at all.</param>
    /// <param name="model">The classifier.</param>
    /// <param name="torchvision">Whether to use the names of torchvision's <c>resnet18</c>, whose <c>fc</c> is the head here; else our
    /// names are used.</param>
    /// <param name="steps">Number of training steps made.</param>
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
                ["format"] = "pt", // readers for PyTorch look for this
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

using DQ.Core.Classification;
using TorchSharp;
using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>A classifier that was trained here as layers to cut behind: those of <see cref="Classifier.Layers"/> after the first.</summary>
public static class TrainedClassifier
{
    /// <param name="name">What messages and tables call it.</param>
    /// <param name="checkpoint">Its file.</param>
    /// <param name="device">Where it runs.</param>
    /// <returns>The caller's.</returns>
    /// <exception cref="Formats.WeightsException">Not a checkpoint of a classifier; names the file.</exception>
    public static LayeredNetwork Load(string name, string checkpoint, Device device)
    {
        using var file = ClassifierCheckpoint.Open(checkpoint);
        var model = file.Model();
        model.to(device);
        var layers = model.Layers;
        return new(name, model, pixels => layers[0].Run(pixels.to(device)), layers.Skip(1).Select(layer => (layer.Name, layer.Run)));
    }
}

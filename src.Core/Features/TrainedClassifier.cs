using DQ.Core.Classification;
using TorchSharp;
using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>A classifier trained by this program, as layers behind which it can be cut: those of <see cref="Classifier.Layers"/> after the
/// first.</summary>
public static class TrainedClassifier
{
    /// <param name="name">Its name in messages and tables.</param>
    /// <param name="checkpoint">File of the classifier.</param>
    /// <param name="device">Device on which it runs.</param>
    /// <returns>The network; the caller disposes it.</returns>
    /// <exception cref="Formats.WeightsException">Not a checkpoint of a classifier; the message names the file.</exception>
    public static LayeredNetwork Load(string name, string checkpoint, Device device)
    {
        using var file = ClassifierCheckpoint.Open(checkpoint);
        var model = file.Model();
        model.to(device);
        var layers = model.Layers;
        return new(name, model, pixels => layers[0].Run(pixels.to(device)), layers.Skip(1).Select(layer => (layer.Name, layer.Run)));
    }
}

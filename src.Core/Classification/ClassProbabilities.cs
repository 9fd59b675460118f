using DQ.Core.Images;
using static TorchSharp.torch;

namespace DQ.Core.Classification;

/// <summary>The probability that a classifier gives to one class.</summary>
/// <param name="Label">Number of the class, from 0.</param>
/// <param name="Name">Name of the class.</param>
/// <param name="Probability">Softmax of the logits, in [0, 1]; over all classes they sum to 1.</param>
public sealed record ClassProbability(int Label, string Name, double Probability);

/// <summary>Predicts the classes of single images.</summary>
public static class ClassProbabilities
{
    /// <summary>The most likely classes of an image, in falling order of probability.</summary>
    /// <param name="model">A model in evaluation mode.</param>
    /// <param name="image">An image with the channels and the size that the model was trained on.</param>
    /// <param name="names">Names of the classes, by label.</param>
    /// <param name="count">Number of classes to return, at most all.</param>
    /// <param name="device">Device of the model.</param>
    public static IReadOnlyList<ClassProbability> Top(
        Classifier model,
        PixelImage image,
        IReadOnlyList<string> names,
        int count,
        Device device
    )
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var pixels = tensor(image.Bytes).reshape(1, image.Channels, image.Height, image.Width).to(device);
        var probabilities = model.Logits(pixels).to_type(ScalarType.Float64).softmax(1).cpu().data<double>().ToArray();
        return
        [
            .. probabilities
                .Select((probability, label) => new ClassProbability(label, names[label], probability))
                .OrderByDescending(entry => entry.Probability)
                .ThenBy(entry => entry.Label)
                .Take(count),
        ];
    }
}

using DQ.Core.Images;
using static TorchSharp.torch;

namespace DQ.Core.Classification;

/// <summary>How likely a classifier holds one class.</summary>
/// <param name="Label">Its number, from 0.</param>
/// <param name="Name">Its name.</param>
/// <param name="Probability">Softmax of the logits, in [0, 1]; over all classes they sum to 1.</param>
public sealed record ClassProbability(int Label, string Name, double Probability);

/// <summary>What a classifier says of single images.</summary>
public static class ClassProbabilities
{
    /// <summary>The likeliest classes of an image, the likeliest first.</summary>
    /// <param name="model">In evaluation mode.</param>
    /// <param name="image">Of the channels and the size that the model was trained on.</param>
    /// <param name="names">By label.</param>
    /// <param name="count">How many classes to give, at most all.</param>
    /// <param name="device">Where the model is.</param>
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

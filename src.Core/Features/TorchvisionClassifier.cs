using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>
/// AlexNet, VGG-16 and ResNet-18 as in torchvision: images of 224×224 to logits. Parameters have torchvision's names.
/// </summary>
/// <remarks>
/// Sources: Krizhevsky 2014, <i>One weird trick for parallelizing convolutional neural networks</i>; Simonyan &amp; Zisserman 2015,
/// table 1, column D; He et al. 2016, table 1, 18 layers. The user provides the weights.
/// </remarks>
public static class TorchvisionClassifier
{
    /// <summary>Rows and columns of the images that they were trained on.</summary>
    public const int Size = 224;

    private static readonly Dictionary<string, Architecture> Known = new(StringComparer.Ordinal)
    {
        ["alexnet"] = new("AlexNet", "classifier.6.bias", AlexNetParts),
        ["vgg16"] = new("VGG-16 without batch normalization", "classifier.6.bias", Vgg16Parts),
        ["resnet18"] = new("ResNet-18", "fc.bias", TorchvisionResNet18.Parts),
    };

    /// <summary>The names of these networks in configurations.</summary>
    public static IReadOnlyCollection<string> Names => Known.Keys;

    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="path">torchvision's <c>.pth</c>, or the same as safetensors. Its last layer determines the number of classes.</param>
    /// <param name="device">Device on which it runs.</param>
    /// <returns>The network in evaluation mode; the caller disposes it.</returns>
    /// <exception cref="WeightsException">The file holds another network; the message names the file and the first differences.</exception>
    public static LayeredNetwork Load(string name, string path, Device device)
    {
        var architecture = Known[name];
        using var file = TensorFile.Open(path);
        if (!file.Shapes.TryGetValue(architecture.LastBias, out var classes) || classes.Count != 1)
            throw new WeightsException(
                $"{path}: expected torchvision's {architecture.Title}, with a bias per class in {architecture.LastBias}"
            );
        var parts = architecture.Parts(classes[0]);
        var network = new Parts(name, parts);
        try
        {
            NetworkWeights.Fill(network, file, path, $"torchvision's {architecture.Title}", _ => false);
            network.to(device);
            network.eval();
            return new(name, network, pixels => NetworkInput.Of(pixels, Size, device), parts.SelectMany(Members));
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// A sequence of layers is replaced by its members, with the names features.0, features.1, …
    private static IEnumerable<(string, Func<Tensor, Tensor>)> Members((string Name, nn.Module<Tensor, Tensor> Module) part) =>
        part.Module is Sequential sequence
            ? sequence.named_children().Select(child => ($"{part.Name}.{child.name}", Function((nn.Module<Tensor, Tensor>)child.module)))
            : [(part.Name, Function(part.Module))];

    /// A layer as a function that does not change its input, because the network may be cut before the layer.
    private static Func<Tensor, Tensor> Function(nn.Module<Tensor, Tensor> module) =>
        module is RectifyInPlace ? values => values.relu() : module.call;

    private static IReadOnlyList<(string, nn.Module<Tensor, Tensor>)> AlexNetParts(long classes) =>
        [
            (
                "features",
                nn.Sequential(
                    nn.Conv2d(3, 64, 11, stride: 4, padding: 2),
                    nn.ReLU(),
                    nn.MaxPool2d(3, stride: 2),
                    nn.Conv2d(64, 192, 5, padding: 2),
                    nn.ReLU(),
                    nn.MaxPool2d(3, stride: 2),
                    nn.Conv2d(192, 384, 3, padding: 1),
                    nn.ReLU(),
                    nn.Conv2d(384, 256, 3, padding: 1),
                    nn.ReLU(),
                    nn.Conv2d(256, 256, 3, padding: 1),
                    nn.ReLU(),
                    nn.MaxPool2d(3, stride: 2)
                )
            ),
            ("avgpool", nn.AdaptiveAvgPool2d([6, 6])),
            ("flatten", nn.Flatten()),
            (
                "classifier",
                nn.Sequential(
                    nn.Dropout(),
                    nn.Linear(256 * 6 * 6, 4096),
                    nn.ReLU(),
                    nn.Dropout(),
                    nn.Linear(4096, 4096),
                    nn.ReLU(),
                    nn.Linear(4096, classes)
                )
            ),
        ];

    private static IReadOnlyList<(string, nn.Module<Tensor, Tensor>)> Vgg16Parts(long classes) =>
        [
            ("features", Vgg16.Features()),
            ("avgpool", nn.AdaptiveAvgPool2d([7, 7])),
            ("flatten", nn.Flatten()),
            (
                "classifier",
                nn.Sequential(
                    nn.Linear(512 * 7 * 7, 4096),
                    nn.ReLU(),
                    nn.Dropout(),
                    nn.Linear(4096, 4096),
                    nn.ReLU(),
                    nn.Dropout(),
                    nn.Linear(4096, classes)
                )
            ),
        ];

    /// A module that contains the parts under their names.
    private sealed class Parts : nn.Module
    {
        public Parts(string name, IEnumerable<(string Name, nn.Module<Tensor, Tensor> Module)> parts)
            : base(name)
        {
            foreach (var (part, module) in parts)
                register_module(part, module);
        }
    }

    /// <param name="Title">Name in messages.</param>
    /// <param name="LastBias">The tensor whose length is the number of classes.</param>
    /// <param name="Parts">Makes the layers, for this number of classes.</param>
    private sealed record Architecture(string Title, string LastBias, Func<long, IReadOnlyList<(string, nn.Module<Tensor, Tensor>)>> Parts);
}

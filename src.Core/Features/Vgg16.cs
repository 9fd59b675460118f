using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>The convolutional part of VGG-16 without batch normalization, in torchvision's layout: (B, 3, 224, 224) to (B, 512, 7,
/// 7).</summary>
/// <remarks>
/// Source: Simonyan &amp; Zisserman 2015, <i>Very Deep Convolutional Networks for Large-Scale Image Recognition</i>, table 1, column D;
/// state-dict keys <c>features.{n}.weight</c> and <c>.bias</c> as in torchvision, whose input scale it shares
/// (<see cref="NetworkInput"/>). The classifier behind it is not needed and not read.
/// </remarks>
public sealed class Vgg16 : FeatureExtractor
{
    /// <summary>Rows and columns of the images that it was trained on.</summary>
    public const int TrainedSize = 224;

    /// <summary>Ratio of an image's height and width to those of its map.</summary>
    public const int Shrinkage = 32;

    /// Channels of the 3×3 convolutions; 0 halves height and width.
    private static readonly int[] Layers = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0];

    private readonly Network network = new();
    private readonly int size;
    private readonly Device device;

    private Vgg16(int size, Device device) => (this.size, this.device) = (size, device);

    public override string Name => "vgg16";

    /// <param name="path">torchvision's <c>.pth</c>, or the same as safetensors.</param>
    /// <param name="size">Rows and columns to which images are resized, a multiple of 32.</param>
    /// <param name="device">Device on which it runs.</param>
    /// <exception cref="WeightsException">The file holds another network; the message names the file and the first differences.</exception>
    public static Vgg16 Load(string path, int size, Device device)
    {
        if (size < Shrinkage || size % Shrinkage != 0)
            throw new ArgumentException($"expected a side that is a multiple of {Shrinkage}, got {size}", nameof(size));
        using var file = TensorFile.Open(path);
        var loaded = new Vgg16(size, device);
        try
        {
            NetworkWeights.Fill(
                loaded.network,
                file,
                path,
                "torchvision's VGG-16 without batch normalization",
                name => name.StartsWith("classifier.", StringComparison.Ordinal)
            );
            loaded.network.to(device);
            loaded.network.eval();
            return loaded;
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    public override Tensor Extract(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return network.forward(NetworkInput.Of(pixels, size, device)).MoveToOuterDisposeScope();
    }

    public override void Dispose() => network.Dispose();

    /// <summary>The layers under torchvision's <c>features</c>, with new weights.</summary>
    internal static Sequential Features()
    {
        List<nn.Module<Tensor, Tensor>> parts = [];
        var input = 3;
        foreach (var channels in Layers)
        {
            if (channels == 0)
            {
                parts.Add(nn.MaxPool2d(2, stride: 2));
                continue;
            }
            parts.AddRange([nn.Conv2d(input, channels, 3, padding: 1), new RectifyInPlace()]);
            input = channels;
        }
        return nn.Sequential(parts);
    }

    private sealed class Network : nn.Module<Tensor, Tensor>
    {
        [ComponentName(Name = "features")]
        private readonly Sequential layers;

        public Network()
            : base(nameof(Vgg16))
        {
            layers = Features();
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => layers.forward(input);
    }
}

using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>A trained network that computes square feature maps from images; its weights do not change.</summary>
public abstract class FeatureExtractor : IDisposable
{
    /// <summary>Name of the network, such as <c>vgg16</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Maps (B, C, H, H) float32 of images (B, 3 or 1, rows, columns) uint8, on its own device; the caller disposes the
    /// result.</summary>
    public abstract Tensor Extract(Tensor pixels);

    public abstract void Dispose();
}

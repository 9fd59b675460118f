using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>A trained network that turns images into square maps of features; its weights stay as they are.</summary>
public abstract class FeatureExtractor : IDisposable
{
    /// <summary>What it is, such as <c>vgg16</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Maps (B, C, H, H) float32 of images (B, 3 or 1, rows, columns) uint8, on its own device; the caller's.</summary>
    public abstract Tensor Extract(Tensor pixels);

    public abstract void Dispose();
}

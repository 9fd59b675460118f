using DQ.Core.Autoencoders;
using DQ.Core.Images;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>What a model makes of images: from all levels, and from each level alone (paper, figures 4 and 5).</summary>
public static class Reconstructions
{
    /// <summary>Names of the rows of <see cref="Grid"/>, top to bottom.</summary>
    public static IReadOnlyList<string> Rows(AutoencoderSpec spec)
    {
        if (spec.Levels == 1)
            return ["original", "full"];
        return
        [
            "original",
            "full",
            .. Enumerable.Range(0, spec.Levels).Reverse().Select(level => $"level {level} alone{Place(level, spec.Levels)}"),
        ];
    }

    /// <summary>A picture with one column per image and the rows of <see cref="Rows"/>; reconstructions are the expected pixels.</summary>
    /// <param name="model">Is put in evaluation mode.</param>
    /// <param name="pixels">uint8 (B, C, H, W).</param>
    /// <param name="zoom">Each pixel becomes this many across and down.</param>
    public static PixelImage Grid(HierarchicalAutoencoder model, Tensor pixels, int zoom)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        model.eval();
        var there = pixels.to(model.parameters().First().device);
        var codes = model.Encode(there);
        var (height, width) = (pixels.shape[2], pixels.shape[3]);
        var rows = new List<Tensor> { pixels, Mean(model, codes, height, width) };
        if (model.Spec.Levels > 1)
            for (var level = model.Spec.Levels - 1; level >= 0; level--)
                rows.Add(Mean(model, codes, height, width, new HashSet<int> { level }));
        return ImageGrid.Rows(rows, zoom: zoom);
    }

    /// <summary>The expected pixels, uint8 (B, C, H, W), that codes stand for; arguments as of the model's Decode.</summary>
    public static Tensor Mean(
        HierarchicalAutoencoder model,
        IReadOnlyList<Tensor> codes,
        long height,
        long width,
        IReadOnlySet<int>? levels = null
    )
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var output = model.Decode(codes, height, width, levels);
        return model.Likelihood.Mean(output).round().clamp(0, 255).to_type(ScalarType.Byte).MoveToOuterDisposeScope();
    }

    private static string Place(int level, int levels) =>
        level == 0 ? " (bottom)"
        : level == levels - 1 ? " (top)"
        : "";
}

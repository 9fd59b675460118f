using DQ.Core.Autoencoders;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>Counts of each code on a set of images, levels bottom first: the table that an entropy coder would use.</summary>
/// <param name="Levels">One histogram per level.</param>
/// <param name="Images">Number of images counted.</param>
public sealed record CodeFrequencies(IReadOnlyList<CodeHistogram> Levels, long Images)
{
    /// <summary>Counts the codes of (B, C, H, W) uint8 batches, which it disposes.</summary>
    public static CodeFrequencies Count(HierarchicalAutoencoder model, IEnumerable<Tensor> batches)
    {
        model.eval();
        var device = model.parameters().First().device;
        var levels = model.Quantizers.Select(quantizer => new CodeHistogram(quantizer.Codebooks, quantizer.CodeCount)).ToArray();
        var images = 0L;
        foreach (var batch in batches)
        {
            using (batch)
            using (NewDisposeScope())
            {
                var codes = model.Encode(batch.to(device));
                for (var level = 0; level < levels.Length; level++)
                    levels[level].Add(codes[level]);
                images += batch.shape[0];
            }
        }
        return new(levels, images);
    }
}

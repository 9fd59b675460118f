using DQ.Core.Autoencoders;
using DQ.Core.Quantization;

namespace DQ.Core.Training;

/// <summary>Losses and code choices summed over the micro-batches of one optimizer step.</summary>
internal sealed class StepSums(AutoencoderSpec spec)
{
    private readonly CodeHistogram[] histograms = [.. spec.Codes.Select(count => new CodeHistogram(spec.Codebooks, count))];

    public double Loss { get; private set; }

    public double Reconstruction { get; private set; }

    public double Latent { get; private set; }

    /// <summary>A new step begins.</summary>
    public void Clear()
    {
        (Loss, Reconstruction, Latent) = (0, 0, 0);
        foreach (var histogram in histograms)
            histogram.Clear();
    }

    /// <summary>Adds a micro-batch's mean losses, weighted by its share of the step's images, and the codes it chose.</summary>
    public void Add(double share, ModelLosses losses, IReadOnlyList<Quantized> levels)
    {
        Loss += share * losses.Total.item<float>();
        Reconstruction += share * losses.Reconstruction.item<float>();
        Latent += share * losses.Latent.item<float>();
        for (var level = 0; level < levels.Count; level++)
            histograms[level].Add(levels[level].Codes);
    }

    public IReadOnlyList<LevelReport> Levels(long[][] revived) =>
        [
            .. histograms.Select(
                (histogram, level) =>
                    new LevelReport([.. Enumerable.Range(0, histogram.Codebooks).Select(histogram.Perplexity)], revived[level])
            ),
        ];
}

using DQ.Core.Parallel;
using DQ.Core.Quantization;

namespace DQ.Core.Training;

/// <summary>Losses and code choices summed over the micro-batches of one optimizer step.</summary>
internal sealed class StepSums(IReadOnlyList<Quantizer> quantizers)
{
    private readonly CodeHistogram[] histograms =
    [
        .. quantizers.Select(quantizer => new CodeHistogram(quantizer.Codebooks, quantizer.CodeCount)),
    ];

    public double Loss { get; private set; }

    public double Reconstruction { get; private set; }

    public double Latent { get; private set; }

    public double? CrossEntropy { get; private set; }

    /// <summary>The loss that must not explode. The quantizers' code losses are left out, because they can be below zero.</summary>
    public double Size => Reconstruction + Latent + (CrossEntropy ?? 0);

    /// <summary>Begins a new step.</summary>
    public void Clear()
    {
        (Loss, Reconstruction, Latent, CrossEntropy) = (0, 0, 0, null);
        foreach (var histogram in histograms)
            histogram.Clear();
    }

    /// <summary>Adds a micro-batch's mean losses, weighted by its share of the step's images, and the codes it chose.</summary>
    public void Add(double share, ModelLosses losses, IReadOnlyList<Quantized> levels)
    {
        Loss += share * losses.Total.item<float>();
        Reconstruction += share * losses.Reconstruction.item<float>();
        Latent += share * losses.Latent.item<float>();
        if (losses.CrossEntropy is { } crossEntropy)
            CrossEntropy = (CrossEntropy ?? 0) + share * crossEntropy.item<float>();
        for (var level = 0; level < levels.Count; level++)
            histograms[level].Add(levels[level].Indices);
    }

    /// <summary>Adds the means of all images of the step, and how often each code was chosen: the levels' counts (M·K), one after the
    /// other.</summary>
    public void Add(double loss, double reconstruction, double latent, ReadOnlySpan<double> counts)
    {
        Loss += loss;
        Reconstruction += reconstruction;
        Latent += latent;
        foreach (var histogram in histograms)
        {
            var own = histogram.Codebooks * histogram.CodeCount;
            histogram.Add(counts[..own]);
            counts = counts[own..];
        }
    }

    /// <summary>Adds up over all ranks, each of which weighted its losses by its share of the step's images.</summary>
    public void Add(IRanks ranks)
    {
        double[] losses = [Loss, Reconstruction, Latent, CrossEntropy ?? 0];
        double[] all = [.. losses, .. histograms.SelectMany(histogram => histogram.AllCounts.Select(count => (double)count))];
        ranks.Sum(all);
        CrossEntropy = CrossEntropy is null ? null : all[3];
        (Loss, Reconstruction, Latent) = (0, 0, 0);
        foreach (var histogram in histograms)
            histogram.Clear();
        Add(all[0], all[1], all[2], all.AsSpan(losses.Length));
    }

    public IReadOnlyList<LevelReport> Levels(long[][] revived) =>
        [
            .. histograms.Select(
                (histogram, level) =>
                    new LevelReport(
                        [.. Enumerable.Range(0, histogram.Codebooks).Select(histogram.Perplexity)],
                        revived[level],
                        [.. Enumerable.Range(0, histogram.Codebooks).Select(histogram.Idle)]
                    )
            ),
        ];
}

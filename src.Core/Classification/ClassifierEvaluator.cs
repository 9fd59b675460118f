using DQ.Core.Artifacts;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Classification;

/// <summary>Evaluates a classifier on a split, batch by batch. It stores counts, not images.</summary>
public sealed class ClassifierEvaluator
{
    private readonly Classifier model;
    private readonly IReadOnlyList<CodeHistogram>? frequencies;
    private readonly CodeHistogram[] histograms;
    private readonly CodeGrid[] grids;
    private readonly Device device;
    private readonly long[][] confusion;
    private long images;
    private double crossEntropy;
    private double reconstruction;

    /// <param name="model">The model, which is set to evaluation mode.</param>
    /// <param name="frequencies">Counts of each code on the training split, by level; null if they were not counted.</param>
    public ClassifierEvaluator(Classifier model, IReadOnlyList<CodeHistogram>? frequencies = null)
    {
        (this.model, this.frequencies) = (model, frequencies);
        model.eval();
        device = model.parameters().First().device;
        histograms = [.. model.CodeQuantizers.Select(quantizer => new CodeHistogram(quantizer.Codebooks, quantizer.CodeCount))];
        grids = new CodeGrid[histograms.Length];
        confusion = [.. Enumerable.Range(0, model.Spec.Classes).Select(_ => new long[model.Spec.Classes])];
    }

    /// <summary>Counts of each code by level, bottom first.</summary>
    public IReadOnlyList<CodeHistogram> Histograms => histograms;

    /// <summary>Number of images so far.</summary>
    public long Images => images;

    /// <summary>Classifies (B, C, H, W) uint8 pixels.</summary>
    /// <param name="pixels">In CPU memory.</param>
    /// <param name="labels">Their classes.</param>
    /// <exception cref="ArgumentException">The numbers of labels and images differ, or a label is not one of the model's
    /// classes.</exception>
    public void Add(Tensor pixels, ReadOnlySpan<int> labels)
    {
        if (labels.Length != pixels.shape[0])
            throw new ArgumentException($"expected {pixels.shape[0]} labels, got {labels.Length}", nameof(labels));
        var truth = new long[labels.Length];
        for (var image = 0; image < truth.Length; image++)
            truth[image] =
                (uint)labels[image] < (uint)confusion.Length
                    ? labels[image]
                    : throw new ArgumentException($"expected labels below {confusion.Length}, got {labels[image]}", nameof(labels));
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var onDevice = pixels.to(device);
        var pass = model.Run(onDevice);
        crossEntropy += nn.functional.cross_entropy(pass.Logits, tensor(truth).to(device), reduction: nn.Reduction.Sum).item<float>();
        var predicted = pass.Logits.argmax(1).cpu().data<long>().ToArray();
        for (var image = 0; image < truth.Length; image++)
            confusion[truth[image]][predicted[image]]++;
        if (pass.Reconstruction is { } decoded)
            reconstruction += model.Autoencoder!.Likelihood.Loss(decoded.Output, onDevice).sum(ScalarType.Float64).item<double>();
        for (var level = 0; level < histograms.Length; level++)
        {
            var codes = pass.Levels[level].Indices;
            histograms[level].Add(codes);
            grids[level] = new(histograms[level].CodeCount, histograms[level].Codebooks, (int)codes.shape[2], (int)codes.shape[3]);
        }
        images += truth.Length;
    }

    /// <exception cref="InvalidOperationException">No image was added.</exception>
    public SplitClassification Finish()
    {
        if (images == 0)
            throw new InvalidOperationException("no images were classified");
        var isDensity = model.Autoencoder?.Likelihood.IsDensity ?? false;
        double? decoded = model.Spec.Input == ClassifierInput.Autoencoder ? reconstruction / images : null;
        return new()
        {
            Images = images,
            Accuracy = (double)confusion.Select((row, label) => row[label]).Sum() / images,
            CrossEntropyNats = crossEntropy / images,
            Confusion = confusion,
            BitsPerImageUniform = grids.Length == 0 ? null : CodeRate.UniformBitsPerImage(grids),
            BitsPerImageEmpirical =
                grids.Length == 0 || frequencies is null
                    ? null
                    : histograms.Zip(frequencies, (here, training) => training.CrossEntropyBits(here)).Sum() / images,
            ReconstructionNatsPerDim = isDensity ? decoded : null,
            ReconstructionSquaredError = isDensity ? null : decoded,
            Levels = [.. histograms.Select(Level)],
        };
    }

    private LevelClassification Level(CodeHistogram histogram, int level) =>
        new(
            level,
            grids[level].Height,
            grids[level].Width,
            [
                .. Enumerable
                    .Range(0, histogram.Codebooks)
                    .Select(book => new CodebookClassification(
                        book,
                        histogram.CodeCount,
                        histogram.Counts(book).Count(count => count > 0),
                        histogram.EntropyNats(book),
                        histogram.Perplexity(book)
                    )),
            ]
        );
}

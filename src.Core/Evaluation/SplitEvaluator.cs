using DQ.Core.Autoencoders;
using DQ.Core.Images;
using DQ.Core.Likelihoods;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>Evaluates a model batch by batch over a split; holds sums, not images.</summary>
public sealed class SplitEvaluator
{
    private readonly HierarchicalAutoencoder model;
    private readonly CodeFrequencies frequencies;
    private readonly CodeHistogram[] histograms;
    private readonly double[][] errors;
    private readonly Device device;
    private long[] imageShape = [];
    private long images;
    private double loss;
    private double squaredError;
    private double normalizedError;
    private double psnr;
    private double ssim;

    /// <param name="model">Is put in evaluation mode.</param>
    /// <param name="frequencies">Code frequencies of the training split, for the empirical code rate.</param>
    public SplitEvaluator(HierarchicalAutoencoder model, CodeFrequencies frequencies)
    {
        (this.model, this.frequencies) = (model, frequencies);
        model.eval();
        device = model.parameters().First().device;
        histograms = [.. model.Quantizers.Select(quantizer => new CodeHistogram(quantizer.Codebooks, quantizer.CodeCount))];
        errors = [.. model.Quantizers.Select(quantizer => new double[quantizer.Codebooks])];
    }

    /// <summary>Evaluates (B, C, H, W) uint8 pixels; all batches must have images of one shape.</summary>
    public void Add(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var shape = pixels.shape[1..];
        if (imageShape.Length > 0 && !shape.SequenceEqual(imageShape))
            throw new ArgumentException(
                $"expected images ({string.Join(", ", imageShape)}), got ({string.Join(", ", shape)})",
                nameof(pixels)
            );
        imageShape = shape;
        var batch = pixels.shape[0];
        var there = pixels.to(device);
        var pass = model.Run(there);
        var batchLoss = Sum(model.Likelihood.Loss(pass.Output, there));
        loss += batchLoss;
        var mean = model.Likelihood.Mean(pass.Output);
        var original = there.to_type(ScalarType.Float32);
        var squared = (mean - original).square().mean([1, 2, 3]) / (255.0 * 255.0); // (B)
        squaredError += Sum(squared);
        // a squared error's own loss is over outputs as they are, not moved into the pixels' range
        normalizedError += !model.Likelihood.IsDensity
            ? batchLoss
            : Sum((PixelNormalization.Normalize(mean) - PixelNormalization.Normalize(there)).square().mean([1, 2, 3]));
        psnr += Sum(ImageQuality.Psnr(mean, original));
        ssim += Sum(ImageQuality.Ssim(mean, original));
        for (var level = 0; level < histograms.Length; level++)
        {
            histograms[level].Add(pass.Levels[level].Codes);
            var batchErrors = pass.Levels[level].Errors.cpu().data<float>();
            for (var book = 0; book < errors[level].Length; book++)
                errors[level][book] += batchErrors[book] * batch;
        }
        images += batch;
    }

    /// <exception cref="InvalidOperationException">Nothing was added.</exception>
    public SplitEvaluation Finish()
    {
        if (images == 0)
            throw new InvalidOperationException("no images were evaluated");
        var dimensions = imageShape.Aggregate(1L, (product, side) => product * side);
        var levels = histograms.Select((histogram, level) => Level(level, histogram, dimensions)).ToArray();
        double Bits(Func<LevelEvaluation, double> perDimension) => levels.Sum(perDimension) * dimensions;
        var rates = new RateAccounting(
            dimensions,
            model.Likelihood.IsDensity ? loss / images : null,
            Bits(level => level.CodeRateUniformBitsPerDim),
            Bits(level => level.CodeRateEmpiricalBitsPerDim)
        );
        return new()
        {
            Images = images,
            DimensionsPerImage = dimensions,
            ReconstructionNatsPerDim = rates.ReconstructionNatsPerDim,
            ReconstructionBitsPerDim = rates.ReconstructionBitsPerDim,
            CodeRateUniformBitsPerDim = rates.CodeRateUniformBitsPerDim,
            CodeRateEmpiricalBitsPerDim = rates.CodeRateEmpiricalBitsPerDim,
            TotalUniformBitsPerDim = rates.TotalUniformBitsPerDim,
            TotalEmpiricalBitsPerDim = rates.TotalEmpiricalBitsPerDim,
            MeanSquaredError = squaredError / images,
            NormalizedSquaredError = normalizedError / images,
            PsnrDb = psnr / images,
            Ssim = ssim / images,
            Levels = levels,
        };
    }

    private LevelEvaluation Level(int level, CodeHistogram histogram, long dimensions)
    {
        var grid = model.Spec.Grids((int)imageShape[1], (int)imageShape[2])[level];
        return new()
        {
            Level = level,
            GridHeight = grid.Height,
            GridWidth = grid.Width,
            CodeRateUniformBitsPerDim = CodeRate.UniformBitsPerImage([grid]) / dimensions,
            CodeRateEmpiricalBitsPerDim = frequencies.Levels[level].CrossEntropyBits(histogram) / images / dimensions,
            Codebooks = [.. Enumerable.Range(0, histogram.Codebooks).Select(book => Codebook(level, histogram, book))],
        };
    }

    private CodebookEvaluation Codebook(int level, CodeHistogram histogram, int book) =>
        new()
        {
            Codebook = book,
            Codes = histogram.CodeCount,
            Usage = histogram.Usage(book),
            DeadCodes = histogram.Counts(book).Count(count => count == 0),
            EntropyNats = histogram.EntropyNats(book),
            Perplexity = histogram.Perplexity(book),
            QuantizationError = errors[level][book] / images,
            Histogram = histogram.Counts(book),
        };

    private static double Sum(Tensor perImage) => perImage.sum(ScalarType.Float64).item<double>();
}

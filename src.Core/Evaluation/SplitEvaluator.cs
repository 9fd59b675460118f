using DQ.Core.Artifacts;
using DQ.Core.Autoencoders;
using DQ.Core.Images;
using DQ.Core.Likelihoods;
using DQ.Core.Quantization;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>Evaluates a model on a split, batch by batch. It stores sums, not images.</summary>
public sealed class SplitEvaluator
{
    private readonly HierarchicalAutoencoder model;
    private readonly CodeFrequencies frequencies;
    private readonly LevelStatistics[] statistics;
    private readonly PatchAtlas? atlas;
    private readonly double[][] errors;
    private readonly Device device;
    private long[] imageShape = [];
    private long images;
    private double loss;
    private double conditioned; // of a context head
    private double squaredError;
    private double normalizedError;
    private readonly List<double> psnr = [];
    private double ssim;

    /// <param name="model">The model, which is set to evaluation mode.</param>
    /// <param name="frequencies">Code frequencies of the training split, for the empirical code rate.</param>
    /// <param name="atlas">The atlas, to which every quantized batch is added.</param>
    public SplitEvaluator(HierarchicalAutoencoder model, CodeFrequencies frequencies, PatchAtlas? atlas = null)
    {
        (this.model, this.frequencies, this.atlas) = (model, frequencies, atlas);
        model.eval();
        device = model.parameters().First().device;
        statistics = [.. model.Quantizers.Select(quantizer => new LevelStatistics(quantizer.Codebooks, quantizer.CodeCount))];
        errors = [.. model.Quantizers.Select(quantizer => new double[quantizer.Codebooks])];
    }

    /// <summary>Counts of each code by level, bottom first.</summary>
    public IReadOnlyList<CodeHistogram> Histograms => [.. statistics.Select(level => level.Histogram)];

    /// <summary>Numbers of each image's mean image, in the order of the images.</summary>
    public IReadOnlyList<double> PsnrDb => psnr;

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
        var onDevice = pixels.to(device);
        var pass = model.Run(onDevice);
        var batchLoss = Sum(model.Likelihood.Loss(pass.Output, onDevice));
        loss += batchLoss;
        if (model.Context is { } context)
            conditioned += Sum(context.NatsPerDim(pass.Features!, onDevice));
        var mean = model.Likelihood.Mean(pass.Output);
        var original = onDevice.to_type(ScalarType.Float32);
        var squared = (mean - original).Squared().mean([1, 2, 3]) / Kept(255.0 * 255.0); // (B)
        squaredError += Sum(squared);
        // the loss of squared error uses the outputs before they are clamped to the pixels' range
        normalizedError += !model.Likelihood.IsDensity
            ? batchLoss
            : Sum((PixelNormalization.Normalize(mean) - PixelNormalization.Normalize(onDevice)).Squared().mean([1, 2, 3]));
        psnr.AddRange(ImageQuality.Psnr(mean, original).to_type(ScalarType.Float64).cpu().data<double>());
        ssim += Sum(ImageQuality.Ssim(mean, original));
        atlas?.Add(pass.Levels);
        for (var level = 0; level < statistics.Length; level++)
        {
            statistics[level].Add(pass.Levels[level].Indices);
            var batchErrors = pass.Levels[level].Errors.cpu().data<float>();
            for (var book = 0; book < errors[level].Length; book++)
                errors[level][book] += batchErrors[book] * batch;
        }
        images += batch;
    }

    /// <exception cref="InvalidOperationException">No image was added.</exception>
    public SplitEvaluation Finish()
    {
        if (images == 0)
            throw new InvalidOperationException("no images were evaluated");
        var dimensions = imageShape.Aggregate(1L, (product, size) => product * size);
        var levels = statistics.Select((level, index) => Level(index, level, dimensions)).ToArray();
        double Bits(Func<LevelEvaluation, double> perDimension) => levels.Sum(perDimension) * dimensions;
        var rates = new RateAccounting(
            dimensions,
            model.Context is not null ? conditioned / images
                : model.Likelihood.IsDensity ? loss / images
                : null,
            Bits(level => level.CodeRateUniformBitsPerDim),
            Bits(level => level.CodeRateEmpiricalBitsPerDim)
        );
        return new()
        {
            Images = images,
            DimensionsPerImage = dimensions,
            ReconstructionNatsPerDim = rates.ReconstructionNatsPerDim,
            ReconstructionBitsPerDim = rates.ReconstructionBitsPerDim,
            ReconstructionWithoutContextBitsPerDim =
                model.Context is not null && model.Likelihood.IsDensity ? CodeRate.NatsToBits(loss / images) : null,
            CodeRateUniformBitsPerDim = rates.CodeRateUniformBitsPerDim,
            CodeRateEmpiricalBitsPerDim = rates.CodeRateEmpiricalBitsPerDim,
            TotalUniformBitsPerDim = rates.TotalUniformBitsPerDim,
            TotalEmpiricalBitsPerDim = rates.TotalEmpiricalBitsPerDim,
            MeanSquaredError = squaredError / images,
            NormalizedSquaredError = normalizedError / images,
            PsnrDb = psnr.Average(),
            Ssim = ssim / images,
            Levels = levels,
        };
    }

    /// <summary>Makes the record of the codes' statistics, and adds its arrays to <paramref name="arrays"/>.</summary>
    public SplitCodebooks Codebooks(string split, IDictionary<string, Array> arrays) =>
        new(images, [.. statistics.Select((level, index) => level.Record(split, index, arrays))]);

    private LevelEvaluation Level(int level, LevelStatistics counted, long dimensions)
    {
        var histogram = counted.Histogram;
        var information = counted.MutualInformationNats;
        var grid = model.Spec.Grids((int)imageShape[1], (int)imageShape[2])[level];
        return new()
        {
            Level = level,
            GridHeight = grid.Height,
            GridWidth = grid.Width,
            CodeRateUniformBitsPerDim = CodeRate.UniformBitsPerImage([grid]) / dimensions,
            CodeRateEmpiricalBitsPerDim = frequencies.Levels[level].CrossEntropyBits(histogram) / images / dimensions,
            IndependentMutualInformationNats = counted.IndependentNats,
            MeanMutualInformationNats = information is null ? null : CodePairs.MeanOfPairs(information),
            MeanNormalizedMutualInformation = information is null ? null : CodePairs.MeanOfPairs(CodePairs.Normalized(information)),
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
        };

    private static double Sum(Tensor perImage) => perImage.sum(ScalarType.Float64).item<double>();
}

using DQ.Core.Artifacts;
using DQ.Core.Autoencoders;
using DQ.Core.Codes;
using DQ.Core.Evaluation;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Priors;

/// <summary>Measures what the codes of a split cost under a prior and under simpler ones, batch by batch.</summary>
/// <param name="model">The model of the codes, in evaluation mode.</param>
/// <param name="network">The prior.</param>
/// <param name="frozen">The same in integers.</param>
/// <param name="frequencies">The codes' frequencies on the training split.</param>
public sealed class PriorEvaluator(HierarchicalAutoencoder model, PriorNetwork network, FrozenPrior frozen, CodeFrequencies frequencies)
{
    private readonly CodeHistogram[] seen = [.. frequencies.Levels.Select(level => new CodeHistogram(level.Codebooks, level.CodeCount))];
    private readonly double[][] floatNats = Sums(frozen.Spec);
    private readonly double[][] integerBits = Sums(frozen.Spec);
    private IReadOnlyList<CodeGrid> grids = [];
    private long images;
    private long dimensions;

    /// <summary>−ln p of codes, mean over codes, of the float prior alone: the quick validations during training.</summary>
    /// <param name="model">The model of the codes, in evaluation mode.</param>
    /// <param name="prior">The prior.</param>
    /// <param name="batches">Batches (B, C, H, W) uint8, which are disposed here.</param>
    /// <exception cref="InvalidOperationException">There are no images.</exception>
    public static double MeanNats(HierarchicalAutoencoder model, PriorNetwork prior, IEnumerable<Tensor> batches)
    {
        var device = model.parameters().First().device;
        var (sum, count) = (0.0, 0L);
        foreach (var batch in batches)
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            using (batch)
            {
                var codes = model.Encode(batch.to(device));
                sum += prior.Nats(codes).Sum(level => level.sum(ScalarType.Float64).item<double>());
                count += codes.Sum(level => level.numel());
            }
        }
        return count > 0 ? sum / count : throw new InvalidOperationException("no images to look at");
    }

    /// <summary>Adds (B, C, H, W) uint8 pixels; all batches must have images of one shape.</summary>
    public void Add(Tensor pixels, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (height, width) = ((int)pixels.shape[2], (int)pixels.shape[3]);
        (grids, dimensions) = (model.Spec.Grids(height, width), pixels.shape[1] * height * width);
        images += pixels.shape[0];
        var codes = model.Encode(pixels.to(model.parameters().First().device));
        foreach (var (level, nats) in network.Nats(codes).Index())
        {
            seen[level].Add(codes[level]);
            Raise(floatNats[level], nats.to_type(ScalarType.Float64).cpu().data<double>().ToArray());
        }
        (int, int)[] sizes = [.. grids.Select(grid => (grid.Height, grid.Width))];
        foreach (var (level, bits) in PriorCoder.Bits(frozen, sizes, ModelCodes.Arrays(codes), cancellation).Index())
            Raise(integerBits[level], bits);
    }

    /// <exception cref="InvalidOperationException">No image was added.</exception>
    public SplitPrior Finish()
    {
        if (images == 0)
            throw new InvalidOperationException("no images were evaluated");
        var uniform = CodeRate.UniformBitsPerImage(grids);
        var fixedBits = frequencies.Levels.Zip(seen, (training, evaluated) => training.CrossEntropyBits(evaluated)).Sum();
        return new()
        {
            Images = images,
            DimensionsPerImage = dimensions,
            CodesPerImage = grids.Sum(grid => (long)grid.Codebooks * grid.Height * grid.Width),
            CodeRateUniformBitsPerDim = uniform / dimensions,
            CodeRateStaticBitsPerDim = fixedBits / images / dimensions,
            CodeRateNetworkBitsPerDim = integerBits.Sum(level => level.Sum()) / images / dimensions,
            CodeRateNetworkFloatBitsPerDim = CodeRate.NatsToBits(floatNats.Sum(level => level.Sum())) / images / dimensions,
            Levels = [.. grids.Select((grid, level) => new LevelPrior(level, grid.Height, grid.Width, Codebooks(grid, level)))],
        };
    }

    private CodebookPrior[] Codebooks(CodeGrid grid, int level)
    {
        var positions = (double)images * grid.Height * grid.Width;
        return
        [
            .. Enumerable
                .Range(0, grid.Codebooks)
                .Select(book => new CodebookPrior(
                    book,
                    grid.CodeCount,
                    Math.Log2(grid.CodeCount),
                    CodeRate.EmpiricalBits([.. seen[level].Counts(book)], [.. frequencies.Levels[level].Counts(book)]) / positions,
                    integerBits[level][book] / positions,
                    CodeRate.NatsToBits(floatNats[level][book]) / positions
                )),
        ];
    }

    private static double[][] Sums(PriorSpec spec) => [.. spec.Levels.Select(level => new double[level.Codebooks])];

    private static void Raise(double[] sums, double[] terms)
    {
        for (var book = 0; book < sums.Length; book++)
            sums[book] += terms[book];
    }
}

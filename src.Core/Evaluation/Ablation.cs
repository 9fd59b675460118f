using DQ.Core.Artifacts;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>Measures over many images how much worse reconstructions are without parts of the codes.</summary>
public static class Ablation
{
    /// <summary>Decodes every part of the codes of every image: about as many passes through the decoder as there are codebooks.</summary>
    /// <param name="decoder">A decoder with code frequencies.</param>
    /// <param name="split">Name of the images' split.</param>
    /// <param name="batches">Batches (B, C, H, W) uint8, which are disposed here.</param>
    /// <exception cref="InvalidOperationException">There are no images.</exception>
    public static AblationRecord Of(PartialDecoder decoder, string split, IEnumerable<Tensor> batches)
    {
        var (full, levels, books) = (CodePart.Full(decoder.Spec), CodePart.OfLevels(decoder.Spec), CodePart.Ablations(decoder.Spec));
        CodePart[] parts = [full, .. levels, .. books];
        var sums = parts.ToDictionary(part => part, _ => new Sums());
        var images = 0L;
        foreach (var batch in batches)
        {
            using (batch)
            using (NewDisposeScope())
            {
                var pixels = decoder.ToDevice(batch);
                var codes = decoder.Encode(pixels);
                foreach (var part in parts)
                {
                    using var perPart = NewDisposeScope();
                    sums[part].Add(decoder.Decode(part, codes, pixels));
                }
                images += batch.shape[0];
            }
        }
        if (images == 0)
            throw new InvalidOperationException("no images to ablate codebooks on");
        var whole = sums[full].Mean(images);
        return new(
            split,
            images,
            whole,
            [.. levels.Select(part => new PartialReconstruction(part.Levels, sums[part].Mean(images)))],
            [
                .. books.Select(part =>
                {
                    var quality = sums[part].Mean(images);
                    return new CodebookAblation(
                        part.Without!.Level,
                        part.Without.Codebook,
                        quality,
                        quality.ReconstructionNatsPerDim - whole.ReconstructionNatsPerDim,
                        whole.PsnrDb - quality.PsnrDb
                    );
                }),
            ]
        );
    }

    private sealed class Sums
    {
        private double? nats;
        private double psnr;
        private double squared;

        public void Add(PartialBatch batch)
        {
            nats = batch.NatsPerDim is { } some ? (nats ?? 0) + some.Sum() : null;
            psnr += batch.PsnrDb.Sum();
            squared += batch.SquaredErrors.Sum();
        }

        public ReconstructionQuality Mean(long images) => new(nats / images, psnr / images, squared / images);
    }
}

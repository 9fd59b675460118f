using static TorchSharp.torch;

namespace DQ.Core.Images;

/// <summary>
/// Training batches without end, made on a background thread. The batch of step s is a pure function of (seed, s): each epoch
/// is one permutation drawn from (seed, epoch) and cut in whole batches (what is left over is dropped), and the augmentation of
/// its i-th image is drawn from (seed, s, i). Resuming at a step therefore needs nothing but its number.
/// </summary>
public sealed class ImageBatches : IDisposable
{
    // Permutations and augmentations take different streams of the same seed.
    private const long AugmentationStream = 0x6175676D;

    private readonly PackedImages _images;
    private readonly long _seed;
    private readonly Augmentation _augmentation;
    private readonly int[] _order;
    private readonly int _batchSize;
    private readonly CopyImage? _augment;
    private readonly Prefetcher<Tensor> _prefetcher;
    private long _orderEpoch = -1;
    private long _step;

    /// <param name="images">Read until this is disposed; not disposed with it.</param>
    /// <param name="batchSize">Images per batch, at most those there are.</param>
    /// <param name="seed">Names the order and the augmentation.</param>
    /// <param name="augmentation">What happens to each image.</param>
    /// <param name="firstStep">Step, from 0, whose batch <see cref="Next"/> gives first.</param>
    /// <exception cref="ArgumentException">A batch is larger than the data set.</exception>
    public ImageBatches(PackedImages images, int batchSize, long seed, Augmentation augmentation, long firstStep)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        ArgumentOutOfRangeException.ThrowIfNegative(firstStep);
        ArgumentOutOfRangeException.ThrowIfNegative(augmentation.Shift);
        if (batchSize > images.Count)
            throw new ArgumentException(
                $"expected a batch size of at most the {images.Count} images there are, got {batchSize}",
                nameof(batchSize)
            );
        (_images, _batchSize, _seed, _augmentation) = (images, batchSize, seed, augmentation);
        _order = new int[images.Count];
        _augment = augmentation == Augmentation.None ? null : Augment;
        _prefetcher = new Prefetcher<Tensor>(Make, firstStep);
    }

    /// <summary>Batches in one pass over the images.</summary>
    public long StepsPerEpoch => _images.Count / _batchSize;

    /// <summary>
    /// The next step's batch, uint8 (B, C, H, W) in CPU memory. It belongs to no dispose scope: the caller disposes it.
    /// </summary>
    /// <remarks>What fails on the background thread is thrown here.</remarks>
    public Tensor Next() => _prefetcher.Next();

    public void Dispose() => _prefetcher.Dispose();

    private Tensor Make(long step)
    {
        var epoch = step / StepsPerEpoch;
        if (epoch != _orderEpoch)
        {
            new SplitMix64(_seed, epoch).Permute(_order);
            _orderEpoch = epoch;
        }

        _step = step;
        return _images.Gather(_order.AsSpan((int)(step % StepsPerEpoch) * _batchSize, _batchSize), _augment);
    }

    private void Augment(int place, ReadOnlySpan<byte> source, Span<byte> target) =>
        _augmentation.Copy(source, target, _images.Height, _images.Width, new SplitMix64(_seed ^ AugmentationStream, _step, place));
}

using static TorchSharp.torch;

namespace DQ.Core.Images;

/// <summary>The images of one step.</summary>
/// <param name="Pixels">uint8 (B, C, H, W), in CPU memory.</param>
/// <param name="Labels">int64 (B), the images' classes; null if they have none, or if they are not needed.</param>
/// <param name="Of">Images of the step that these are a share of; null where they are all.</param>
public sealed record Batch(Tensor Pixels, Tensor? Labels, int? Of = null) : IDisposable
{
    /// <summary>Of the step, on all ranks.</summary>
    public int Images => Of ?? (int)Pixels.shape[0];

    public void Dispose()
    {
        Pixels.Dispose();
        Labels?.Dispose();
    }
}

/// <summary>
/// An endless sequence of training batches, made on a background thread. The batch of step s is a pure function of (seed, s): each epoch
/// is one permutation drawn from (seed, epoch) and cut into whole batches (the remainder is dropped), and the augmentation of
/// its i-th image is drawn from (seed, s, i). Resuming at a step therefore needs only its number.
/// </summary>
public sealed class ImageBatches : IDisposable
{
    // Permutations and augmentations use different streams of the same seed.
    private const long AugmentationStream = 0x6175676D;

    private readonly PackedImages _images;
    private readonly long _seed;
    private readonly Augmentation _augmentation;
    private readonly int[] _order;
    private readonly int _batchSize;
    private readonly CopyImage? _augment;
    private readonly int[]? _labels;
    private readonly int[]? _places;
    private readonly Prefetcher<Batch> _prefetcher;
    private long _orderEpoch = -1;
    private long _step;

    /// <param name="images">Images, which are read until this object is disposed. They are not disposed with it.</param>
    /// <param name="batchSize">Images per batch, at most the number of images.</param>
    /// <param name="seed">Seed of the order and the augmentation.</param>
    /// <param name="augmentation">Augmentation of each image.</param>
    /// <param name="firstStep">Step, from 0, of the first batch that <see cref="Next"/> returns.</param>
    /// <param name="labels">Class of each image, which the batches then include; null for none.</param>
    /// <param name="places">Of a batch, which of its images to make, in this order; null for all.</param>
    /// <exception cref="ArgumentException">A batch is larger than the data set, or the numbers of labels and images differ.</exception>
    public ImageBatches(
        PackedImages images,
        int batchSize,
        long seed,
        Augmentation augmentation,
        long firstStep,
        int[]? labels = null,
        int[]? places = null
    )
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        ArgumentOutOfRangeException.ThrowIfNegative(firstStep);
        ArgumentOutOfRangeException.ThrowIfNegative(augmentation.Shift);
        if (batchSize > images.Count)
            throw new ArgumentException(
                $"expected a batch size of at most the {images.Count} images there are, got {batchSize}",
                nameof(batchSize)
            );
        if (labels is not null && labels.Length != images.Count)
            throw new ArgumentException($"expected a label for each of the {images.Count} images, got {labels.Length}", nameof(labels));
        (_images, _batchSize, _seed, _augmentation, _labels, _places) = (images, batchSize, seed, augmentation, labels, places);
        _order = new int[images.Count];
        _augment = augmentation == Augmentation.None ? null : Augment;
        _prefetcher = new Prefetcher<Batch>(Make, firstStep);
    }

    /// <summary>Number of batches in one pass over the images.</summary>
    public long StepsPerEpoch => _images.Count / _batchSize;

    /// <summary>
    /// The next step's batch. It belongs to no dispose scope: the caller disposes it.
    /// </summary>
    /// <remarks>An exception on the background thread is thrown here.</remarks>
    public Batch Next() => _prefetcher.Next();

    public void Dispose() => _prefetcher.Dispose();

    private Batch Make(long step)
    {
        var epoch = step / StepsPerEpoch;
        if (epoch != _orderEpoch)
        {
            new SplitMix64(_seed, epoch).Permute(_order);
            _orderEpoch = epoch;
        }

        _step = step;
        var first = (int)(step % StepsPerEpoch) * _batchSize;
        var chosen = _places is null ? _order.AsSpan(first, _batchSize) : Array.ConvertAll(_places, place => _order[first + place]);
        return new(
            _images.Gather(chosen, _augment),
            _labels is null ? null : LabelsOf(_labels, chosen),
            _places is null ? null : _batchSize
        );
    }

    private static Tensor LabelsOf(int[] labels, ReadOnlySpan<int> chosen)
    {
        var values = new long[chosen.Length];
        for (var place = 0; place < values.Length; place++)
            values[place] = labels[chosen[place]];
        return tensor(values);
    }

    private void Augment(int place, ReadOnlySpan<byte> source, Span<byte> target) =>
        _augmentation.Copy(
            source,
            target,
            _images.Height,
            _images.Width,
            new SplitMix64(_seed ^ AugmentationStream, _step, _places?[place] ?? place)
        );
}

using static TorchSharp.torch;

namespace DQ.Core.Parallel;

/// <summary>A part of a row of things that ranks share in their order: things <see cref="First"/> to First + <see cref="Count"/> − 1 of <see cref="Of"/>.</summary>
/// <param name="First">Number of its first.</param>
/// <param name="Count">How many are its own.</param>
/// <param name="Of">How many all ranks have together.</param>
public readonly record struct Share(int First, int Count, int Of)
{
    /// <summary>That of a rank: as many as the others have, or one more, which the first ranks have.</summary>
    public static Share OfRank(int things, int rank, int ranks)
    {
        var (each, more) = (things / ranks, things % ranks);
        return new(rank * each + Math.Min(rank, more), each + (rank < more ? 1 : 0), things);
    }
}

/// <summary>How the images of a micro-batch lie on the ranks: what depends on the whole micro-batch asks this. Null stands for one process.</summary>
/// <param name="Ranks">Who shares.</param>
/// <param name="Images">This rank's part of each micro-batch.</param>
public sealed record Sharing(IRanks Ranks, Share Images)
{
    /// <summary>Of a training step; null in one process.</summary>
    /// <param name="ranks">Who shares.</param>
    /// <param name="images">Of the step, on all ranks.</param>
    /// <param name="microBatches">That it is cut in.</param>
    /// <exception cref="ArgumentException">A rank would have no image.</exception>
    public static Sharing? OfStep(IRanks ranks, int images, int microBatches)
    {
        if (ranks.Count == 1)
            return null;
        var micro = images / microBatches;
        return micro >= ranks.Count
            ? new(ranks, Share.OfRank(micro, ranks.Rank, ranks.Count))
            : throw new ArgumentException($"expected micro-batches of at least {ranks.Count} images, one for each rank, got {micro}");
    }

    /// <summary>Places in a step's whole batch of the images of this rank, in the order in which it has them.</summary>
    /// <param name="microBatches">That the step is cut in.</param>
    public int[] Places(int microBatches) =>
        [.. Enumerable.Range(0, microBatches).SelectMany(micro => Enumerable.Range(micro * Images.Of + Images.First, Images.Count))];

    /// <summary>What to weight a mean over this rank's share with, so that the weighted means add up to the mean over all.</summary>
    public double Weight => (double)Images.Count / Images.Of;

    /// <summary>This rank's part of something made for the whole micro-batch, along a dimension that has the images' rows one after the other.</summary>
    public Tensor Own(Tensor whole, int dimension)
    {
        var rows = whole.shape[dimension] / Images.Of;
        return whole.narrow(dimension, Images.First * rows, Images.Count * rows);
    }

    /// <summary>Rows of this rank among those of all, where each image has as many and one micro-batch follows the other.</summary>
    /// <param name="perImage">Rows of an image.</param>
    /// <param name="own">Rows that this rank has.</param>
    public SharedRows Rows(long perImage, long own) => new(this, perImage, own);
}

/// <summary>Rows of tensors that lie on several ranks, numbered as one process would number them.</summary>
public sealed class SharedRows(Sharing sharing, long perImage, long own)
{
    public IRanks Ranks => sharing.Ranks;

    /// <summary>On all ranks together.</summary>
    public long Total => own / sharing.Images.Count * sharing.Images.Of;

    /// <summary>The number on this rank of a row; −1 where another rank has it.</summary>
    /// <param name="row">Its number among all.</param>
    public long Local(long row)
    {
        var (images, perMicro) = (sharing.Images, perImage * sharing.Images.Of);
        var (micro, within) = (row / perMicro, row % perMicro - images.First * perImage);
        return within < 0 || within >= images.Count * perImage ? -1 : micro * images.Count * perImage + within;
    }
}

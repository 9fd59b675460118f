using System.Runtime.InteropServices;
using DQ.Core.Parallel;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>The state of codebooks that revival reads and changes.</summary>
/// <param name="Codebook">(M, K, D).</param>
/// <param name="Counts">N (M, K).</param>
/// <param name="Sums">A (M, K, D); null if codes are not averages.</param>
/// <param name="Smoothed">Ñ (M, K); null if codes are not averages.</param>
public sealed record CodebookState(Tensor Codebook, Tensor Counts, Tensor? Sums = null, Tensor? Smoothed = null);

/// <summary>A rule that replaces codes which hardly any vector chooses.</summary>
public abstract class CodeRevival
{
    /// <summary>The rule that a specification names.</summary>
    public static CodeRevival Create(QuantizerSpec spec) =>
        spec.Revival switch
        {
            "usage" => new UsageRevival(spec.RevivalThreshold),
            "published" => new PublishedRevival(),
            "none" => new NoRevival(),
            var other => throw new ArgumentException($"expected usage, published or none, got '{other}'", nameof(spec)),
        };

    /// <summary>Changes dead codes in place.</summary>
    /// <returns>The number of changed codes per codebook.</returns>
    public abstract long[] Apply(CodebookState state, CodeUses seen, long seed, long step);

    /// <summary>Draws vectors of the batch without replacement for each codebook's K codes: (M, K, D). If N &lt; K, the vectors are
    /// repeated, with noise.</summary>
    /// <param name="vectors">(M or 1, N, D).</param>
    /// <param name="books">M.</param>
    /// <param name="codeCount">K.</param>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="step">Step of the draw.</param>
    /// <param name="wanted">Mask (M, K) of the codes that will be used. Only these get noise. Null for all.</param>
    /// <param name="rows">How the vectors lie on several ranks, which draw the same ones; null in one process.</param>
    internal static Tensor Draw(
        Tensor vectors,
        long books,
        long codeCount,
        long seed,
        long step,
        Tensor? wanted = null,
        SharedRows? rows = null
    )
    {
        using var scope = NewDisposeScope();
        var width = vectors.shape[2];
        var total = (int)(rows?.Total ?? vectors.shape[1]);
        var drawn = Drawn(vectors, Places(vectors, total, books, codeCount, seed, step, rows), rows).view(books, codeCount, width);
        if (total < codeCount)
        {
            var random = new SplitMix64(seed, step, books);
            var noise = zeros(books * codeCount, width);
            var values = MemoryMarshal.Cast<byte, float>(noise.bytes);
            var mask = wanted is null ? [] : MemoryMarshal.Cast<byte, bool>(wanted.cpu().contiguous().bytes);
            for (var code = 0; code < books * codeCount; code++)
                if (wanted is null || mask[code])
                    foreach (ref var value in values.Slice(code * (int)width, (int)width))
                        value = (float)random.NextNormal();
            drawn = drawn.Plus(noise.view(books, codeCount, width).to(vectors.device) * Kept(0.01 / Math.Sqrt(width)));
        }
        return drawn.MoveToOuterDisposeScope();
    }

    /// Rows of this rank's vectors, all slices one after the other, for each code of each codebook (M·K); −1 where another rank has them
    private static Tensor Places(Tensor vectors, int total, long books, long codeCount, long seed, long step, SharedRows? rows)
    {
        var (slices, own) = (vectors.shape[0], vectors.shape[1]);
        // draws into tensors: arrays of this size at every step would be most of training's garbage
        var choice = empty(books * codeCount, dtype: ScalarType.Int64);
        var places = MemoryMarshal.Cast<byte, long>(choice.bytes);
        using var permutation = empty(total, dtype: ScalarType.Int32);
        var order = MemoryMarshal.Cast<byte, int>(permutation.bytes);
        for (var book = 0; book < books; book++)
        {
            new SplitMix64(seed, step, book).Permute(order);
            var first = slices == 1 ? 0 : book * own;
            for (var code = 0; code < codeCount; code++)
            {
                var row = rows is null ? order[code % total] : rows.Local(order[code % total]);
                places[(int)(book * codeCount) + code] = row < 0 ? -1 : first + row;
            }
        }
        return choice;
    }

    /// The vectors at these places (M·K, D), each from the rank that has it
    private static Tensor Drawn(Tensor vectors, Tensor places, SharedRows? rows)
    {
        var flat = vectors.reshape(-1, vectors.shape[2]);
        var onDevice = places.to(vectors.device);
        if (rows is null)
            return flat.index_select(0, onDevice);
        var own = flat.index_select(0, onDevice.clamp_min(Kept(0)));
        var drawn = where((onDevice >= Kept(0)).unsqueeze(1), own, zeros_like(own));
        rows.Ranks.Sum(drawn); // the others' are zeros
        return drawn;
    }

    /// <summary>The number of true entries in each row of a mask (M, K).</summary>
    protected static long[] PerCodebook(Tensor mask)
    {
        using var scope = NewDisposeScope();
        return mask.sum(1).cpu().data<long>().ToArray();
    }
}

/// <summary>Dead codes are not changed.</summary>
public sealed class NoRevival : CodeRevival
{
    public override long[] Apply(CodebookState state, CodeUses seen, long seed, long step) => new long[state.Codebook.shape[0]];
}

/// <summary>
/// A code is dead when N &lt; τ·n/K, with n the vectors of a step. The bound is a share of the mean, since with an absolute bound every
/// code would be dead if K &gt; n. A dead code becomes a vector of the batch with count τ·n/K, and its sum changes accordingly.
/// </summary>
public sealed class UsageRevival(double threshold) : CodeRevival
{
    public override long[] Apply(CodebookState state, CodeUses seen, long seed, long step)
    {
        using var scope = NewDisposeScope();
        var (books, codeCount) = (state.Counts.shape[0], state.Counts.shape[1]);
        var least = threshold * seen.Total / codeCount;
        var dead = state.Counts < Kept(least); // (M, K)
        var revived = PerCodebook(dead);
        if (revived.Sum() == 0)
            return revived;
        var drawn = Draw(seen.Vectors, books, codeCount, seed, step, dead, seen.Rows);
        var wide = dead.unsqueeze(2);
        state.Codebook.copy_(where(wide, drawn, state.Codebook));
        state.Counts.copy_(where(dead, full_like(state.Counts, Kept(least)), state.Counts));
        state.Sums?.copy_(where(wide, drawn * Kept(least), state.Sums));
        return revived;
    }
}

/// <summary>
/// The released code's rule, for parity: a code with Ñ &lt; 1 is redrawn from the batch at every step, while its count and sum do not
/// change. When it is no longer dead, it returns to the old A/Ñ.
/// </summary>
public sealed class PublishedRevival : CodeRevival
{
    public override long[] Apply(CodebookState state, CodeUses seen, long seed, long step)
    {
        using var scope = NewDisposeScope();
        var smoothed = state.Smoothed ?? throw new ArgumentException("expected codes that are moving averages", nameof(state));
        var dead = smoothed < Kept(1);
        var revived = PerCodebook(dead);
        if (revived.Sum() == 0)
            return revived;
        var drawn = Draw(seen.Vectors, state.Counts.shape[0], state.Counts.shape[1], seed, step, dead, seen.Rows);
        state.Codebook.copy_(where(dead.unsqueeze(2), drawn, state.Codebook));
        return revived;
    }
}

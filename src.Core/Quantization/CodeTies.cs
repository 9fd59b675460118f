using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// Prefers the codes that another implementation chose, if they are as near as the nearest code within float32's resolution. Which of two
/// such codes is nearer depends only on the order of a sum.
/// </summary>
/// <remarks>Axis legend: M codebooks, S slices (M or 1), K codes, D code width, N vectors.</remarks>
internal sealed class CodeTies(Tensor recorded)
{
    /// <summary>
    /// Tolerance as a share of (‖z‖ + ‖e‖)², the size of the terms of a squared distance: eight units in the last place of float32.
    /// </summary>
    private const double Resolution = 1.0 / (1 << 20);

    /// <summary>The number of vectors in the last call that got the recorded code instead of the nearest.</summary>
    public long Count { get; private set; }

    /// <summary>The chosen indices, or the recorded ones where these are as near: (M, N).</summary>
    /// <param name="vectors">z (S, N, D).</param>
    /// <param name="codes">e (M, K, D).</param>
    /// <param name="chosen">Indices of the nearest codes (M, N).</param>
    public Tensor Settle(Tensor vectors, Tensor codes, Tensor chosen)
    {
        Count = 0;
        if (!recorded.shape.SequenceEqual(chosen.shape))
            return chosen;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var last = codes.shape[1] - 1;
        var known = recorded.ge(Kept(0)).logical_and(recorded.le(Kept(last)));
        var theirs = recorded.clamp(Kept(0), Kept(last)).to_type(ScalarType.Int64);
        var z = vectors.to_type(ScalarType.Float64); // (S, N, D)
        var (near, _) = Distances(z, codes, chosen);
        var (far, size) = Distances(z, codes, theirs);
        var ties = chosen.ne(theirs).logical_and(known).logical_and((far - near).le(size * Kept(Resolution)));
        Count = ties.sum().item<long>();
        return where(ties, theirs, chosen).MoveToOuterDisposeScope();
    }

    /// Squared distances (M, N) to the codes of these indices, and the size of the terms of the sum.
    private static (Tensor Squared, Tensor Size) Distances(Tensor z, Tensor codes, Tensor indices)
    {
        var (books, count, width) = (indices.shape[0], indices.shape[1], codes.shape[2]);
        var e = codes.detach().to_type(ScalarType.Float64).gather(1, indices.unsqueeze(2).expand(books, count, width)); // (M, N, D)
        return ((z - e).Squared().sum(2), z.norm(2).Plus(e.norm(2)).Squared());
    }
}

using DQ.Core.Parallel;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>Lloyd's k-means for all codebooks at once, which gives the first codes.</summary>
/// <remarks>Centres start from distinct random vectors; a centre without members moves to a random vector. Axes: M codebooks, N vectors, K
/// centres, D width.</remarks>
public static class KMeans
{
    private const int Iterations = 10;

    /// <param name="vectors">(M, N, D), or (1, N, D) if all codebooks share the vectors; float32.</param>
    /// <param name="books">Codebooks M; each has its own random choices.</param>
    /// <param name="codeCount">Centres K.</param>
    /// <param name="seed">Seed of the random choices.</param>
    /// <param name="metric">The metric whose transformation is applied to the centres; the vectors are transformed already.</param>
    /// <param name="rows">How the vectors lie on several ranks, which come to the same centres; null in one process.</param>
    /// <returns>Centres (M, K, D) and members (M, K), at least one each, because a centre that was just moved has no other count yet.</returns>
    public static (Tensor Centres, Tensor Members) Fit(
        Tensor vectors,
        int books,
        int codeCount,
        long seed,
        CodeMetric metric,
        SharedRows? rows = null
    )
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var centres = CodeRevival.Draw(vectors, books, codeCount, seed, 0, rows: rows);
        var members = zeros(books, codeCount, device: vectors.device);
        for (var iteration = 1; iteration <= Iterations; iteration++)
        {
            using var inner = NewDisposeScope();
            using var usage = new CodeUsage();
            usage.Add(vectors, NearestCodes.Find(vectors, centres), centres, rows);
            if (rows is not null)
                foreach (var part in usage.Collected)
                    rows.Ranks.Sum(part);
            using var uses = usage.Take()!;
            members.copy_(uses.Counts);
            var empty = (uses.Counts < Kept(0.5)).unsqueeze(2);
            var means = uses.Sums / uses.Counts.clamp_min(Kept(1)).unsqueeze(2);
            centres.copy_(metric.Project(where(empty, CodeRevival.Draw(vectors, books, codeCount, seed, iteration, rows: rows), means), 2));
        }
        return (centres.MoveToOuterDisposeScope(), members.clamp_min_(Kept(1)).MoveToOuterDisposeScope());
    }
}

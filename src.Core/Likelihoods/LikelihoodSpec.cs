namespace DQ.Core.Likelihoods;

/// <summary>What the decoder's output means, and so the reconstruction loss (in the published implementation: mse, ce, mix).</summary>
public sealed record LikelihoodSpec
{
    /// <summary>Names a configuration may use.</summary>
    public static IReadOnlyList<string> Names { get; } = ["squared_error", "categorical", "logistic_mixture"];

    /// <summary>A name of <see cref="Names"/>.</summary>
    public string Kind { get; init; } = "logistic_mixture";

    /// <summary>Mixture components n; used by <c>logistic_mixture</c>.</summary>
    public int Components { get; init; } = 10;

    public IEnumerable<SpecProblem> Problems()
    {
        if (!Names.Contains(Kind))
            yield return new("kind", $"expected one of {string.Join(", ", Names)}, got '{Kind}'");
        if (Components < 1)
            yield return new("components", $"expected an integer of at least 1, got {Components}");
    }
}

using System.Text.Json.Serialization;

namespace DQ.Core.Likelihoods;

/// <summary>The meaning of the decoder's output, which defines the reconstruction loss (in the published implementation: mse, ce,
/// mix).</summary>
public sealed record LikelihoodSpec
{
    /// <summary>Names that a configuration may use.</summary>
    public static IReadOnlyList<string> Names { get; } = ["squared_error", "categorical", "logistic_mixture"];

    /// <summary>A name of <see cref="Names"/>.</summary>
    public string Kind { get; init; } = "logistic_mixture";

    /// <summary>Mixture components n; used by <c>logistic_mixture</c>.</summary>
    public int Components { get; init; } = 10;

    /// <summary>What a pixel is conditioned on besides the codes: <c>none</c>, or <c>local</c>: pixels above and to the left of it, which a
    /// decoder already knows. With <c>local</c>, the likelihood of this kind is an auxiliary loss, which keeps codes in use.</summary>
    public string Context { get; init; } = NoContext;

    /// <summary>Weight of the auxiliary likelihood in the loss; used with a context.</summary>
    public double AuxiliaryWeight { get; init; } = 0.1;

    /// <summary>Names of contexts.</summary>
    public static IReadOnlyList<string> Contexts { get; } = [NoContext, "local"];

    /// <summary>Whether there is a context.</summary>
    [JsonIgnore]
    public bool HasContext => Context != NoContext;

    private const string NoContext = "none";

    public IEnumerable<SpecProblem> Problems()
    {
        if (!Contexts.Contains(Context))
            yield return new("context", $"expected one of {string.Join(", ", Contexts)}, got '{Context}'");
        if (!(AuxiliaryWeight >= 0 && double.IsFinite(AuxiliaryWeight)))
            yield return new("auxiliary_weight", $"expected a number of at least 0, got {AuxiliaryWeight}");
        if (!Names.Contains(Kind))
            yield return new("kind", $"expected one of {string.Join(", ", Names)}, got '{Kind}'");
        if (Components < 1)
            yield return new("components", $"expected an integer of at least 1, got {Components}");
    }
}

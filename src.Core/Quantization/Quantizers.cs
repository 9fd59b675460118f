namespace DQ.Core.Quantization;

/// <summary>One kind of quantizer, as a configuration names it.</summary>
/// <param name="Name">Name of the kind.</param>
/// <param name="Keys">Keys of <see cref="QuantizerSpec"/> that it reads, in the configuration's snake_case.</param>
/// <param name="CodesProblem">The reason why a codebook can't have K codes, or null.</param>
/// <param name="Create">Makes a quantizer with M codebooks of K codes of width D; arguments in this order.</param>
public sealed record QuantizerKind(
    string Name,
    IReadOnlyList<string> Keys,
    Func<QuantizerSpec, int, string?> CodesProblem,
    Func<QuantizerSpec, int, int, int, Quantizer> Create
);

/// <summary>The quantizers by name.</summary>
public static class Quantizers
{
    private static readonly string[] CodebookKeys =
    [
        "commitment",
        "initialization",
        "revival",
        "revival_threshold",
        "decay",
        "decay_warmup",
        "gradient",
        "code_projection",
    ];

    public static IReadOnlyList<QuantizerKind> All { get; } =
    [
        new(
            DepthwiseQuantizer.Kind,
            [.. CodebookKeys, "epsilon", "metric"],
            AnyCodes,
            Codebooks((spec, books, codes, width) => new DepthwiseQuantizer(spec, books, codes, width))
        ),
        new(
            VectorQuantizer.Kind,
            [.. CodebookKeys, "epsilon", "metric"],
            AnyCodes,
            Codebooks((spec, books, codes, width) => new VectorQuantizer(spec, books, codes, width))
        ),
        new(
            VectorGradientQuantizer.Kind,
            [.. CodebookKeys, "metric"],
            AnyCodes,
            Codebooks((spec, books, codes, width) => new VectorGradientQuantizer(spec, books, codes, width))
        ),
        // no metric: the residual of a stage has a length, which codes of unit length can't represent
        new(
            ResidualQuantizer.Kind,
            [.. CodebookKeys, "epsilon"],
            AnyCodes,
            Codebooks((spec, books, codes, width) => new ResidualQuantizer(spec, books, codes, width))
        ),
        new(
            GumbelQuantizer.Kind,
            ["temperature_steps", "uniform_weight"],
            AnyCodes,
            (spec, books, codes, width) => new GumbelQuantizer(spec, books, codes, width)
        ),
        new(
            FiniteScalarQuantizer.Kind,
            ["levels"],
            FiniteScalarQuantizer.CodesProblem,
            (spec, books, codes, _) => new FiniteScalarQuantizer(books, FiniteScalarQuantizer.LevelsFor(spec, codes))
        ),
        new(
            LookupFreeQuantizer.Kind,
            ["commitment", "entropy_weight"],
            (_, codes) => LookupFreeQuantizer.CodesProblem(codes),
            (spec, books, codes, _) => new LookupFreeQuantizer(spec, books, codes)
        ),
    ];

    /// <summary>Names that a configuration may use.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(kind => kind.Name)];

    /// <summary>The kind with this name, or null.</summary>
    public static QuantizerKind? Find(string name) => All.FirstOrDefault(kind => kind.Name == name);

    private static string? AnyCodes(QuantizerSpec spec, int codes) => null;

    private static Func<QuantizerSpec, int, int, int, Quantizer> Codebooks(Func<QuantizerSpec, int, int, int, CodebookQuantizer> make) =>
        (spec, books, codes, width) =>
            spec.CodeProjection is { } narrow
                ? new FactorizedQuantizer(make(spec, books, codes, narrow), width)
                : make(spec, books, codes, width);
}

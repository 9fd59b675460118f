using System.Text.Json.Serialization;
using DQ.Core.Likelihoods;
using DQ.Core.Likelihoods.Context;
using DQ.Core.Quantization;

namespace DQ.Core.Autoencoders;

/// <summary>
/// Settings of the hierarchical autoencoder: everything that determines the shapes of its parameters, and its losses.
/// Symbols are those of Fostiropoulos &amp; Boehm and of their released code.
/// </summary>
public sealed record AutoencoderSpec
{
    /// <summary>Channels of the image: 3 or 1.</summary>
    public int ImageChannels { get; init; } = 3;

    /// <summary>Hidden channels C.</summary>
    public int Channels { get; init; } = 64;

    /// <summary>Residual blocks in every encoder and decoder block.</summary>
    public int ResidualBlocks { get; init; } = 1;

    /// <summary>Channels R inside a residual block.</summary>
    public int ResidualChannels { get; init; } = 64;

    /// <summary>Coder blocks b of the bottom level's encoder.</summary>
    public int CoderBlocks { get; init; } = 2;

    /// <summary>Stride s of the first encoder block: 2 or 4.</summary>
    public int Stride { get; init; } = 2;

    /// <summary>Codes K per codebook, one entry per level, bottom (finest) first. With a context the list may be empty: no
    /// levels.</summary>
    [JsonPropertyName("codes")]
    public IReadOnlyList<int> CodeCounts { get; init; } = [128, 256];

    /// <summary>Codebooks M per level.</summary>
    public int Codebooks { get; init; } = 5;

    /// <summary>Width D of a code.</summary>
    public int CodeWidth { get; init; } = 64;

    /// <summary><c>concatenation</c> (the released code) or <c>skip</c> (the paper's appendix: adds the upsampled decoding of the level
    /// above).</summary>
    public string Wiring { get; init; } = "concatenation";

    /// <summary>First weights: <c>he</c> (<see cref="WeightInitialization"/>) or <c>library</c>, PyTorch's default, as published.</summary>
    public string Initialization { get; init; } = "he";

    public QuantizerSpec Quantizer { get; init; } = new();

    public LikelihoodSpec Likelihood { get; init; } = new();

    /// <summary>Settings of the context head; used with a context.</summary>
    public ContextSpec Context { get; init; } = new();

    /// <summary>Levels L.</summary>
    [JsonIgnore]
    public int Levels => CodeCounts.Count;

    /// <summary>Image height and width must be divisible by this: s·2^(b−1)·2^(L−1), or 1 without levels.</summary>
    [JsonIgnore]
    public int SideDivisor => Levels == 0 ? 1 : CellSide(Levels - 1);

    /// <summary>The same model for images with another number of channels.</summary>
    public AutoencoderSpec ForImages(int channels) =>
        this with
        {
            ImageChannels = channels,
            Context = Context with { Channels = channels },
        };

    /// <summary>Width and height in pixels of the cell of one position in a level's grid (0 = bottom).</summary>
    public int CellSide(int level) => Stride << (CoderBlocks - 1 + level);

    /// <summary>An image's height or width with the padding that makes it divisible.</summary>
    public int PaddedSide(int side) => (side + SideDivisor - 1) / SideDivisor * SideDivisor;

    /// <summary>Every level's codes for an image with this height and width, bottom first. Codes of the padding are included.</summary>
    public IReadOnlyList<CodeGrid> Grids(int height, int width) =>
        [
            .. CodeCounts.Select(
                (codes, level) => new CodeGrid(codes, Codebooks, PaddedSide(height) / CellSide(level), PaddedSide(width) / CellSide(level))
            ),
        ];

    /// <summary>A new quantizer for <paramref name="level"/> (0 = bottom).</summary>
    public Quantizer CreateQuantizer(int level) => Quantization.Quantizer.Create(Quantizer, Codebooks, CodeCounts[level], CodeWidth);

    /// <summary>All problems of this spec; empty if the model can be built.</summary>
    public IReadOnlyList<SpecProblem> Problems() =>
        [
            .. OwnProblems(),
            .. Under("quantizer", Quantizer.Problems()),
            .. Under("likelihood", Likelihood.Problems()),
            .. Likelihood.HasContext ? Under("context", Context.Problems()) : [],
        ];

    private static IEnumerable<SpecProblem> Under(string key, IEnumerable<SpecProblem> problems) =>
        problems.Select(problem => problem with { Key = $"{key}.{problem.Key}" });

    private IEnumerable<SpecProblem> OwnProblems()
    {
        if (ImageChannels is not (1 or 3))
            yield return new("image_channels", $"expected 1 or 3, got {ImageChannels}");
        if (Channels < 2)
            yield return new("channels", $"expected an integer of at least 2, got {Channels}");
        if (ResidualBlocks < 0)
            yield return new("residual_blocks", $"expected an integer of at least 0, got {ResidualBlocks}");
        if (ResidualChannels < 1)
            yield return new("residual_channels", $"expected an integer of at least 1, got {ResidualChannels}");
        if (CoderBlocks is < 1 or > 8)
            yield return new("coder_blocks", $"expected an integer from 1 to 8, got {CoderBlocks}");
        if (Stride is not (2 or 4))
            yield return new("stride", $"expected 2 or 4, got {Stride}");
        if (CodeCounts.Count == 0 && !Likelihood.HasContext)
            yield return new("codes", "expected 1 to 8 levels, got 0; without levels model.likelihood.context is needed");
        if (CodeCounts.Count > 8)
            yield return new("codes", $"expected 1 to 8 levels, got {CodeCounts.Count}");
        for (var level = 0; level < CodeCounts.Count; level++)
            if (CodeCounts[level] is < 1 or > 1 << 20)
                yield return new($"codes[{level}]", $"expected a number of codes from 1 to {1 << 20}, got {CodeCounts[level]}");
            else if (Quantizer.CodesProblem(CodeCounts[level]) is { } problem)
                yield return new($"codes[{level}]", problem);
        if (Codebooks < 1)
            yield return new("codebooks", $"expected an integer of at least 1, got {Codebooks}");
        if (CodeWidth < 1)
            yield return new("code_width", $"expected an integer of at least 1, got {CodeWidth}");
        if (Quantizer.CodeProjection > CodeWidth)
            yield return new("quantizer.code_projection", $"expected at most code_width {CodeWidth}, got {Quantizer.CodeProjection}");
        if (Initialization is not ("he" or "library"))
            yield return new("initialization", $"expected he or library, got '{Initialization}'");
        if (Wiring is not ("concatenation" or "skip"))
            yield return new("wiring", $"expected concatenation or skip, got '{Wiring}'");
    }
}

using System.Text.Json;
using System.Text.Json.Serialization;
using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using DQ.Core.Quantization;

namespace DQ.Core.Classification;

/// <summary>Settings of a classifier: everything that determines the shapes of its parameters, and its losses.</summary>
public sealed record ClassifierSpec
{
    private static readonly JsonSerializerOptions Json = SpecJson.Options;

    /// <summary>The backbone's input: a name of <see cref="ClassifierInput.Names"/>.</summary>
    public string Input { get; init; } = ClassifierInput.Pixels;

    /// <summary>Channels of the image: 3 or 1.</summary>
    public int ImageChannels { get; init; } = 3;

    /// <summary>Number of classes.</summary>
    public int Classes { get; init; } = 10;

    /// <summary>A name of <see cref="ClassifierBackbone.Names"/>.</summary>
    public string Backbone { get; init; } = ClassifierBackbone.ResidualEncoder;

    /// <summary>Channels C of residual_encoder; resnet18 has its own.</summary>
    public int Channels { get; init; } = 128;

    /// <summary>Residual blocks of residual_encoder.</summary>
    public int ResidualBlocks { get; init; } = 2;

    /// <summary>Channels inside the residual blocks of residual_encoder.</summary>
    public int ResidualChannels { get; init; } = 32;

    /// <summary>Encoder blocks of residual_encoder.</summary>
    public int CoderBlocks { get; init; } = 1;

    /// <summary>Stride of the first encoder block: 2 or 4.</summary>
    public int Stride { get; init; } = 4;

    /// <summary>What is quantized between backbone and head: <c>none</c>, the <c>pooled</c> vector, or every position of the
    /// <c>grid</c>.</summary>
    public string Quantized { get; init; } = "pooled";

    /// <summary>Codebooks M.</summary>
    public int Codebooks { get; init; } = 1;

    /// <summary>Codes K per codebook.</summary>
    [JsonPropertyName("codes")]
    public int CodeCount { get; init; } = 512;

    /// <summary>Width D of a code. If M·D (or D, where all codebooks share one map) equals the number of the backbone's channels, these are
    /// quantized directly, else after a linear map.</summary>
    public int CodeWidth { get; init; } = 64;

    public QuantizerSpec Quantizer { get; init; } = new();

    /// <summary>Share of the head's inputs set to zero in training.</summary>
    public double Dropout { get; init; } = 0.2;

    /// <summary>The autoencoder whose codes are the input; null for pixels.</summary>
    public AutoencoderSpec? Autoencoder { get; init; }

    /// <summary>Weight of the autoencoder's own losses beside the cross-entropy, if it is trained too.</summary>
    public double AutoencoderWeight { get; init; } = 1;

    /// <summary>All problems of this spec; empty if the model can be built.</summary>
    public IReadOnlyList<SpecProblem> Problems() => [.. OwnProblems(), .. QuantizerProblems()];

    /// <summary>The spec as the JSON in the metadata of weights files.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <param name="json">JSON of a spec; absent keys have their defaults.</param>
    /// <param name="where">For messages: the file, and the part of it.</param>
    /// <exception cref="WeightsException">This is not such JSON, or the spec has problems; the message has the first one.</exception>
    public static ClassifierSpec Read(string json, string where)
    {
        try
        {
            var spec =
                JsonSerializer.Deserialize<ClassifierSpec>(json, Json)
                ?? throw new WeightsException($"{where}: expected an object, got null");
            return spec.Problems() is [var problem, ..] ? throw new WeightsException($"{where}: {problem.Key}: {problem.Message}") : spec;
        }
        catch (JsonException error)
        {
            throw new WeightsException($"{where}: {error.Message}", error);
        }
    }

    private IEnumerable<SpecProblem> OwnProblems()
    {
        if (!ClassifierInput.Names.Contains(Input))
            yield return new("input", $"expected one of {string.Join(", ", ClassifierInput.Names)}, got '{Input}'");
        if (ImageChannels is not (1 or 3))
            yield return new("image_channels", $"expected 1 or 3, got {ImageChannels}");
        if (Classes < 2)
            yield return new("classes", $"expected at least 2, got {Classes}");
        if (!ClassifierBackbone.Names.Contains(Backbone))
            yield return new("backbone", $"expected one of {string.Join(", ", ClassifierBackbone.Names)}, got '{Backbone}'");
        else if (Backbone == ClassifierBackbone.None && Input == ClassifierInput.Pixels)
            yield return new("backbone", "expected a network for pixels: only codes can go to the head as they are");
        if (Channels < 2 || Channels % 2 != 0)
            yield return new("channels", $"expected an even integer of at least 2, got {Channels}");
        if (ResidualBlocks < 0)
            yield return new("residual_blocks", $"expected an integer of at least 0, got {ResidualBlocks}");
        if (ResidualChannels < 1)
            yield return new("residual_channels", $"expected an integer of at least 1, got {ResidualChannels}");
        if (CoderBlocks is < 1 or > 8)
            yield return new("coder_blocks", $"expected an integer from 1 to 8, got {CoderBlocks}");
        if (Stride is not (2 or 4))
            yield return new("stride", $"expected 2 or 4, got {Stride}");
        if (!(Dropout is >= 0 and < 1))
            yield return new("dropout", $"expected a number in [0, 1), got {Dropout}");
        if (!(AutoencoderWeight >= 0) || !double.IsFinite(AutoencoderWeight))
            yield return new("autoencoder_weight", $"expected a number of at least 0, got {AutoencoderWeight}");
        if (Input != ClassifierInput.Pixels && Autoencoder is null)
            yield return new("autoencoder", $"expected the autoencoder whose codes are the input, got none");
    }

    private IEnumerable<SpecProblem> QuantizerProblems()
    {
        if (Quantized is not ("none" or "pooled" or "grid"))
            yield return new("quantized", $"expected none, pooled or grid, got '{Quantized}'");
        else if (Quantized != "none" && Input != ClassifierInput.Pixels)
            yield return new("quantized", $"expected none where the input is codes already, got '{Quantized}'");
        if (Quantized == "none")
            yield break;
        foreach (var problem in Quantizer.Problems())
            yield return problem with
            {
                Key = $"quantizer.{problem.Key}",
            };
        if (Codebooks < 1)
            yield return new("codebooks", $"expected an integer of at least 1, got {Codebooks}");
        if (CodeCount is < 1 or > 1 << 20)
            yield return new("codes", $"expected a number of codes from 1 to {1 << 20}, got {CodeCount}");
        else if (Quantizer.CodesProblem(CodeCount) is { } problem)
            yield return new("codes", problem);
        if (CodeWidth < 1)
            yield return new("code_width", $"expected an integer of at least 1, got {CodeWidth}");
        if (Quantizer.CodeProjection > CodeWidth)
            yield return new("quantizer.code_projection", $"expected at most code_width {CodeWidth}, got {Quantizer.CodeProjection}");
    }
}

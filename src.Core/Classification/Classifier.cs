using DQ.Core.Autoencoders;
using DQ.Core.Likelihoods;
using DQ.Core.Parallel;
using DQ.Core.Quantization;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Classification;

/// <summary>The results of one pass through a classifier.</summary>
/// <param name="Logits">(B, classes).</param>
/// <param name="Levels">The quantizations, bottom first: the classifier's own codes as one level, or the autoencoder's levels; empty
/// without codes.</param>
/// <param name="Reconstruction">The autoencoder's pass if it is trained together with the classifier; else null.</param>
public sealed record ClassifierPass(Tensor Logits, IReadOnlyList<Quantized> Levels, ForwardPass? Reconstruction);

/// <summary>A network that classifies images by codes: its own codes, of the pooled vector or of the grid, or those of an
/// autoencoder.</summary>
/// <remarks>
/// <code>
/// image ─ normalize ──────────────────── backbone ─ [pool] ─ projection ─ quantizer ─ [pool] ─ dropout ─ head ─ logits
/// image ─ autoencoder ─ embedded codes ─ backbone ─ pool ──────────────────────────────────── dropout ─ head ─ logits
/// </code>
/// Source: quantized classification as in the deep-vector-quantization project (Camporese); the quantizers are those of the autoencoder.
/// The embedded codes of all levels are repeated to fit the bottom level's grid, and concatenated along channels.
/// State-dict keys: <c>autoencoder.…</c>, <c>backbone.…</c> (torchvision's names for resnet18), <c>projection</c>, <c>quantizer.…</c>,
/// <c>head</c>. Axis legend: B batch, C channels, M codebooks, D code width, H W height and width.
/// </remarks>
public sealed class Classifier : nn.Module
{
    /// Number of the dropout's random stream; it differs from those of the quantizers, which are numbered by level.
    private const int DropoutPart = 1000;

    [ComponentName(Name = "autoencoder")]
    private readonly HierarchicalAutoencoder? autoencoder;

    [ComponentName(Name = "backbone")]
    private readonly ClassifierBackbone? backbone;

    [ComponentName(Name = "projection")]
    private readonly Conv2d? projection;

    [ComponentName(Name = "quantizer")]
    private readonly Quantizer? quantizer;

    [ComponentName(Name = "head")]
    private readonly Linear head;

    /// <exception cref="ArgumentException">The spec has problems; the message lists them.</exception>
    public Classifier(ClassifierSpec spec)
        : base(nameof(Classifier))
    {
        if (spec.Problems() is { Count: > 0 } problems)
            throw new ArgumentException(string.Join("; ", problems.Select(problem => $"{problem.Key}: {problem.Message}")), nameof(spec));
        Spec = spec;
        var channels = spec.ImageChannels;
        if (spec.Input != ClassifierInput.Pixels)
        {
            autoencoder = new HierarchicalAutoencoder(spec.Autoencoder!);
            channels = autoencoder.Quantizers.Sum(level => level.OutputChannels);
        }
        backbone = ClassifierBackbone.Create(spec, channels);
        channels = backbone?.Channels ?? channels;
        if (spec.Quantized != "none")
        {
            quantizer = Quantizer.Create(spec.Quantizer, spec.Codebooks, spec.CodeCount, spec.CodeWidth);
            // a quantizer that compares vectors can take the features directly; logits and similar inputs are computed from them
            if (quantizer is not CodebookQuantizer || quantizer.InputChannels != channels)
                projection = LinearMap(channels, quantizer.InputChannels);
            channels = quantizer.OutputChannels;
        }
        head = nn.Linear(channels, spec.Classes);
        RegisterComponents();
        IsAutoencoderFixed = spec.Input == ClassifierInput.Codes;
        if (IsAutoencoderFixed)
            Fix(autoencoder!);
    }

    public ClassifierSpec Spec { get; }

    /// <summary>The autoencoder whose codes are the input; null for pixels.</summary>
    public HierarchicalAutoencoder? Autoencoder => autoencoder;

    /// <summary>The quantizers that encode an image, bottom first; empty without codes.</summary>
    public IReadOnlyList<Quantizer> CodeQuantizers => autoencoder?.Quantizers ?? (quantizer is null ? [] : [quantizer]);

    /// <summary>The quantizers that learn.</summary>
    public IReadOnlyList<Quantizer> LearningQuantizers => IsAutoencoderFixed ? [] : CodeQuantizers;

    /// <summary>Number of parameters trained by gradient; codebooks that learn by moving average are not counted.</summary>
    public long ParameterCount => parameters().Where(parameter => parameter.requires_grad).Sum(parameter => parameter.numel());

    /// <summary>
    /// The steps from pixels (B, C, H, W) uint8 to logits (B, classes) in evaluation mode: <c>normalize</c> or <c>codes</c>,
    /// <c>backbone.…</c>, <c>pool</c>, <c>projection</c>, <c>quantizer</c>, <c>head</c>. Their composition is <see cref="Logits"/>.
    /// </summary>
    public IReadOnlyList<NamedLayer> Layers =>
        [
            autoencoder is null ? new("normalize", PixelNormalization.Normalize) : new("codes", pixels => EmbeddedCodes(pixels).Map),
            .. (backbone?.Layers ?? []).Select(layer => layer with { Name = $"backbone.{layer.Name}" }),
            .. Spec.Quantized == "grid" ? (NamedLayer[])[] : [new("pool", Pooled)],
            .. projection is null ? (NamedLayer[])[] : [new("projection", projection.call)],
            .. quantizer is null ? (NamedLayer[])[] : [new("quantizer", quantizer.Assigned)],
            new("head", map => head.call(Pooled(map).flatten(1))),
        ];

    private bool IsAutoencoderFixed { get; }

    /// <summary>One forward pass, with gradients where they are enabled. In training mode quantizers collect the statistics that their
    /// codes learn from.</summary>
    /// <param name="pixels">(B, image channels, H, W) uint8.</param>
    /// <param name="moment">The step and micro-batch of training; evaluation does not depend on it.</param>
    public ClassifierPass Run(Tensor pixels, TrainingMoment moment = default)
    {
        using var scope = NewDisposeScope();
        var (input, levels, reconstruction) = Input(pixels, moment);
        var features = Features(input);
        if (quantizer is not null)
        {
            var quantized = quantizer.Quantize(features, moment with { Seed = SplitMix64.Derive(moment.Seed, 0) });
            levels = [quantized];
            features = quantized.Map;
        }
        var vector = Pooled(features).flatten(1); // (B, C)
        if (training && Spec.Dropout > 0)
            vector = Dropped(vector, moment);
        return new(
            head.call(vector).MoveToOuterDisposeScope(),
            [.. levels.Select(level => level.MoveToOuterDisposeScope())],
            reconstruction is null ? null : reconstruction with { Output = reconstruction.Output.MoveToOuterDisposeScope() }
        );
    }

    /// <summary>Logits (B, classes) of (B, C, H, W) uint8 pixels, without gradients; in evaluation mode.</summary>
    public Tensor Logits(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Layers.Aggregate(pixels, (map, layer) => layer.Run(map)).MoveToOuterDisposeScope();
    }

    /// <summary>Every level's codes for an image with this height and width, bottom first. They are found by encoding an empty
    /// image.</summary>
    public IReadOnlyList<CodeGrid> Grids(int height, int width)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var wasTraining = training;
        eval();
        var levels = Run(zeros([1, Spec.ImageChannels, height, width], ScalarType.Byte, parameters().First().device)).Levels;
        train(wasTraining);
        return
        [
            .. levels.Zip(
                CodeQuantizers,
                (level, quantizer) =>
                    new CodeGrid(quantizer.CodeCount, quantizer.Codebooks, (int)level.Indices.shape[2], (int)level.Indices.shape[3])
            ),
        ];
    }

    /// <summary>Chooses the codebooks' first codes from the maps that they quantize.</summary>
    /// <param name="batches">(B, C, H, W) uint8, the first batches of training.</param>
    /// <param name="seed">Seed of the k-means.</param>
    /// <param name="sharing">How the batches lie on several ranks; null in one process.</param>
    public void InitializeCodebooks(IReadOnlyList<Tensor> batches, long seed, Sharing? sharing = null)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (Spec.Input == ClassifierInput.Autoencoder)
            autoencoder!.InitializeCodebooks(batches, seed, sharing);
        quantizer?.Initialize(
            [.. batches.Select(batch => Features(PixelNormalization.Normalize(batch)))],
            SplitMix64.Derive(seed, 0),
            sharing
        );
    }

    public override void train(bool train = true)
    {
        base.train(train);
        if (IsAutoencoderFixed)
            autoencoder!.eval();
    }

    /// The backbone's input (B, C, H, W), and the quantizations that made it.
    private (Tensor Map, IReadOnlyList<Quantized> Levels, ForwardPass? Reconstruction) Input(Tensor pixels, TrainingMoment moment)
    {
        switch (Spec.Input)
        {
            case ClassifierInput.Pixels:
                return (PixelNormalization.Normalize(pixels), [], null);
            case ClassifierInput.Codes:
            {
                var (map, levels) = EmbeddedCodes(pixels);
                return (map, levels, null);
            }
            default:
            {
                var pass = autoencoder!.Run(pixels, moment);
                return (Joined([.. pass.Levels.Select(level => level.Map)]), pass.Levels, pass);
            }
        }
    }

    /// The codes of the autoencoder as one map, without gradients, in evaluation mode.
    private (Tensor Map, IReadOnlyList<Quantized> Levels) EmbeddedCodes(Tensor pixels)
    {
        using var _ = no_grad();
        var levels = autoencoder!.Quantize(pixels);
        return (Joined([.. levels.Select(level => level.Map)]), levels);
    }

    /// Maps (B, C_l, H/2^l, W/2^l) to the bottom level's grid: (B, ΣC_l, H, W)
    private static Tensor Joined(IReadOnlyList<Tensor> maps) =>
        maps.Count == 1
            ? maps[0]
            : cat(
                [
                    .. maps.Select(
                        (map, level) =>
                            level == 0
                                ? map
                                : nn.functional.interpolate(map, scale_factor: [1 << level, 1 << level], mode: InterpolationMode.Nearest)
                    ),
                ],
                1
            );

    /// The input of the quantizer or the head: (B, C, 1, 1) for a pooled vector, (B, C, H, W) for the grid.
    private Tensor Features(Tensor input)
    {
        var map = backbone?.call(input) ?? input;
        var features = Spec.Quantized == "grid" ? map : Pooled(map);
        return projection?.call(features) ?? features;
    }

    /// (B, C, H, W) to (B, C, 1, 1)
    private static Tensor Pooled(Tensor map) => map.mean([2, 3], keepdim: true);

    private Tensor Dropped(Tensor vector, TrainingMoment moment)
    {
        var stream = new SplitMix64(SplitMix64.Derive(moment.Seed, DropoutPart), moment.Step, moment.MicroBatch);
        using var generator = new Generator(stream.Next(), CPU); // TorchSharp has no others
        var images = moment.Sharing?.Images.Of ?? vector.shape[0];
        var drawn = empty([images, vector.shape[1]]).bernoulli_(1 - Spec.Dropout, generator);
        var kept = (moment.Sharing?.Own(drawn, 0) ?? drawn).to(vector.device);
        return vector * kept / Kept(1 - Spec.Dropout);
    }

    private static void Fix(HierarchicalAutoencoder autoencoder)
    {
        autoencoder.eval();
        foreach (var parameter in autoencoder.parameters())
            parameter.requires_grad = false;
    }

    private static Conv2d LinearMap(int input, int output)
    {
        var map = nn.Conv2d(input, output, 1);
        using var _ = no_grad();
        map.weight!.normal_(0, Math.Sqrt(1.0 / input));
        map.bias!.zero_();
        return map;
    }
}

using DQ.Core.Likelihoods;
using DQ.Core.Native;
using DQ.Core.Parallel;
using DQ.Core.Quantization;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.Autoencoders;

/// <summary>The results of one pass through the model; levels bottom first.</summary>
/// <param name="Output">Decoder output (B, likelihood's channels, H, W), cropped to the images' own size.</param>
/// <param name="Levels">Each level's quantization.</param>
/// <param name="Features">The features (B, C, H, W) from which the output is computed, cropped in the same way, for a context head. Null
/// without one.</param>
public sealed record ForwardPass(Tensor Output, IReadOnlyList<Quantized> Levels, Tensor? Features = null);

/// <summary>The hierarchical autoencoder with a quantized bottleneck at every level (DQ-AE).</summary>
/// <remarks>
/// <code>
/// image ─ enc_blocks.0 ─┬─ enc_blocks.1 ─┬─ …          encoding, bottom to top
///                       │                └─ projections.1 ─ quantizers.1 ─┬─ upsample.1 ─┐
///                       │                        dec_blocks.1 ────────────┘              │  quantization, top to bottom
///                       └─ [decoded, encoding] ─ projections.0 ─ quantizers.0 ─ upsample.0 ─┤
///                                                                                  decoder ─ output
/// </code>
/// Source: Fostiropoulos &amp; Boehm, section 4 and appendix A.4; wiring and names follow the released code. One difference: its M separate
/// 1×1 convolutions per level (<c>quantize_convs</c>) are one convolution to M·D channels here.
/// Axis legend: B batch, C hidden channels, M codebooks, D code width, H W height and width.
/// </remarks>
public sealed class HierarchicalAutoencoder : nn.Module
{
    [ComponentName(Name = "enc_blocks")]
    private readonly ModuleList<Sequential> encoders;

    [ComponentName(Name = "projections")]
    private readonly ModuleList<Conv2d> projections;

    [ComponentName(Name = "quantizers")]
    private readonly ModuleList<Quantizer> quantizers;

    [ComponentName(Name = "dec_blocks")]
    private readonly ModuleList<Sequential> conditioners;

    [ComponentName(Name = "upsample")]
    private readonly ModuleList<Sequential> upsamplers;

    [ComponentName(Name = "decoder")]
    private readonly Sequential decoder;

    [ComponentName(Name = "context")]
    private readonly FeatureContext? context;

    /// <exception cref="ArgumentException">The spec has problems; the message lists them.</exception>
    public HierarchicalAutoencoder(AutoencoderSpec spec)
        : base(nameof(HierarchicalAutoencoder))
    {
        if (spec.Problems() is { Count: > 0 } problems)
            throw new ArgumentException(string.Join("; ", problems.Select(problem => $"{problem.Key}: {problem.Message}")), nameof(spec));
        if (spec.Levels == 0)
            throw new ArgumentException("codes: expected at least one level; without, a model is its context head alone", nameof(spec));
        Spec = spec;
        Likelihood = Likelihood.Create(spec.Likelihood, spec.ImageChannels);
        var levels = Enumerable.Range(0, spec.Levels).ToArray();
        quantizers = new([.. levels.Select(spec.CreateQuantizer)]);
        Quantizers = [.. quantizers];
        encoders = new([.. levels.Select(LevelEncoder)]);
        projections = new([
            .. levels.Select(level =>
                nn.Conv2d(level == spec.Levels - 1 ? spec.Channels : 2 * spec.Channels, quantizers[level].InputChannels, 1)
            ),
        ]);
        upsamplers = new([.. levels.Select(LevelUpsampler)]);
        // there is no level below level 0 that it could condition
        conditioners = new([
            .. levels.Select(level =>
                level == 0 ? nn.Sequential() : nn.Sequential(Decoder(quantizers[level].OutputChannels, spec.Channels, 2))
            ),
        ]);
        decoder = nn.Sequential(
            Decoder(spec.Levels * spec.Channels, spec.Channels, spec.Stride),
            Decoder(spec.Channels, spec.Channels, 1),
            nn.Conv2d(spec.Channels, Likelihood.OutputChannels, 3, padding: 1)
        );
        if (spec.Likelihood.HasContext)
            context = new(spec.Context with { Channels = spec.ImageChannels }, spec.Channels);
        RegisterComponents();
        if (spec.Initialization == "he")
            WeightInitialization.Apply(this, Likelihood);
    }

    public AutoencoderSpec Spec { get; }

    public Likelihood Likelihood { get; }

    /// <summary>The context head, which conditions pixels on the codes and on the pixels before them. Null if pixels are independent given
    /// the codes.</summary>
    public FeatureContext? Context => context;

    /// <summary>Quantizers by level, bottom first.</summary>
    public IReadOnlyList<Quantizer> Quantizers { get; }

    /// <summary>Number of parameters trained by gradient; codebooks that learn by moving average are not counted.</summary>
    public long ParameterCount => parameters().Sum(parameter => parameter.numel());

    /// <summary>Names of a model's parts in <c>training.freeze</c>.</summary>
    public static IReadOnlyList<string> PartNames { get; } =
    ["encoders", "projections", "codebooks", "conditioners", "upsamplers", "decoder"];

    /// <summary>A part by its name.</summary>
    public nn.Module Part(string name) =>
        name switch
        {
            "encoders" => encoders,
            "projections" => projections,
            "codebooks" => quantizers,
            "conditioners" => conditioners,
            "upsamplers" => upsamplers,
            "decoder" => decoder,
            _ => throw new ArgumentException($"expected one of {string.Join(", ", PartNames)}, got '{name}'", nameof(name)),
        };

    /// <summary>
    /// Multiply-adds of one image's forward pass: convolutions, and distances to the codes. Backward takes about twice that, for the
    /// maps and for the weights.
    /// </summary>
    /// <param name="height">Rows of the image, including padding.</param>
    /// <param name="width">Columns.</param>
    public long MultiplyAdds(int height, int width)
    {
        var encoding = new MapCost(0, Spec.PaddedSide(height), Spec.PaddedSide(width));
        var (total, decoded) = (0L, encoding);
        for (var level = 0; level < Spec.Levels; level++)
        {
            encoding = encoding.Through(encoders[level]);
            var grid = encoding.Anew();
            decoded = grid.Through(upsamplers[level]);
            total +=
                grid.Through(projections[level]).MultiplyAdds
                + grid.Positions * quantizers[level].MultiplyAddsPerPosition
                + grid.Through(conditioners[level]).MultiplyAdds
                + decoded.MultiplyAdds;
        }
        total += height * width * (context?.MultiplyAdds ?? 0);
        return total + encoding.MultiplyAdds + decoded.Anew().Through(decoder).MultiplyAdds;
    }

    /// <summary>Pixels on every side of a part of an image that the part's codes depend on.</summary>
    public int CodesReach
    {
        get
        {
            var encodings = new Reach[Spec.Levels];
            var reach = new Reach(0, 1);
            for (var level = 0; level < Spec.Levels; level++)
                encodings[level] = reach = reach.Through(encoders[level]);
            var (farthest, decoded) = (0, 0);
            for (var level = Spec.Levels - 1; level >= 0; level--)
            {
                // a code depends on its level's encoding and on what was decoded above; "skip" hands that on
                var code = encodings[level] with
                {
                    Pixels = Math.Max(encodings[level].Pixels, decoded),
                };
                farthest = Math.Max(farthest, code.Pixels);
                decoded = Math.Max(code.Through(conditioners[level]).Pixels, decoded + code.Jump);
            }
            return farthest;
        }
    }

    /// <summary>Pixels on every side of a part of an image on whose codes the decoder's output of that part depends.</summary>
    public int DecodingReach =>
        Enumerable
            .Range(0, Spec.Levels)
            .Max(level => new Reach(0, Spec.CellSide(level)).Through(upsamplers[level]).Through(decoder).Pixels);

    /// <summary>One pass with gradients where enabled; in training mode the quantizers collect what their codes will learn from.</summary>
    /// <param name="pixels">(B, image channels, H, W) uint8.</param>
    /// <param name="moment">The step and micro-batch of training; evaluation does not depend on it.</param>
    public ForwardPass Run(Tensor pixels, TrainingMoment moment = default)
    {
        using var scope = NewDisposeScope();
        var levels = Quantize(EncodeLevels(Normalized(pixels)), moment);
        var (output, features) = Decoded([.. levels.Select(level => level.Map)], pixels.shape[2], pixels.shape[3], null);
        return new(
            output.MoveToOuterDisposeScope(),
            [.. levels.Select(level => level.MoveToOuterDisposeScope())],
            features?.MoveToOuterDisposeScope()
        );
    }

    /// <summary>Code indices per level (B, M, H_l, W_l) int64, bottom first, for (B, C, H, W) uint8 pixels.</summary>
    public IReadOnlyList<Tensor> Encode(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        return [.. Quantize(pixels).Select(level => level.Indices.MoveToOuterDisposeScope())];
    }

    /// <summary>Each level's quantization of (B, C, H, W) uint8 pixels, bottom first, without gradients.</summary>
    public IReadOnlyList<Quantized> Quantize(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return [.. Quantize(EncodeLevels(Normalized(pixels)), default).Select(level => level.MoveToOuterDisposeScope())];
    }

    /// <summary>The encoders' maps (B, C, H_l, W_l) per level, bottom first, before quantization.</summary>
    public IReadOnlyList<Tensor> Features(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return [.. EncodeLevels(Normalized(pixels)).Select(map => map.MoveToOuterDisposeScope())];
    }

    /// <summary>Decoder output (B, likelihood's channels, H, W) from code indices per level, bottom first.</summary>
    /// <param name="codes">Indices as <see cref="Encode"/> returns them.</param>
    /// <param name="height">Rows of the images; the padding is cropped.</param>
    /// <param name="width">Columns of the images.</param>
    /// <param name="levels">Levels to decode with; the others' upsampled maps are zeros (paper, figures 4 and 5). Null for all.</param>
    public Tensor Decode(IReadOnlyList<Tensor> codes, long height, long width, IReadOnlySet<int>? levels = null)
    {
        if (codes.Count != Spec.Levels)
            throw new ArgumentException($"expected codes of {Spec.Levels} levels, got {codes.Count}", nameof(codes));
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var maps = codes.Select((code, level) => quantizers[level].Embed(code)).ToArray();
        return DecodeMaps(maps, height, width, levels).MoveToOuterDisposeScope();
    }

    /// <summary>Decoder output (B, likelihood's channels, H, W) from quantized maps (B, output channels, H_l, W_l) per level.</summary>
    /// <param name="maps">Bottom first.</param>
    /// <param name="height">As in <see cref="Decode"/>.</param>
    /// <param name="width">As in <see cref="Decode"/>.</param>
    /// <param name="chosen">Levels to decode with, as in <see cref="Decode"/>.</param>
    public Tensor DecodeMaps(IReadOnlyList<Tensor> maps, long height, long width, IReadOnlySet<int>? chosen = null)
    {
        using var scope = NewDisposeScope();
        return Decoded(maps, height, width, chosen).Output.MoveToOuterDisposeScope();
    }

    /// The output, and for a context head the features from which it is computed
    private (Tensor Output, Tensor? Features) Decoded(IReadOnlyList<Tensor> maps, long height, long width, IReadOnlySet<int>? chosen)
    {
        using var scope = NewDisposeScope();
        var upsampled = new Tensor[Spec.Levels];
        for (var level = 0; level < Spec.Levels; level++)
        {
            if (chosen is null || chosen.Contains(level))
            {
                upsampled[level] = upsamplers[level].forward(maps[level].ForConvolutions());
                continue;
            }
            var side = 1L << (Spec.CoderBlocks - 1 + level);
            upsampled[level] = zeros(
                maps[level].shape[0],
                Spec.Channels,
                maps[level].shape[2] * side,
                maps[level].shape[3] * side,
                device: maps[level].device
            );
        }
        var joined = Spec.Levels == 1 ? upsampled[0] : cat([.. upsampled.Reverse()], 1); // top first: (B, L·C, H/s, W/s)
        if (context is null)
            return (Cropped(decoder.forward(joined)).MoveToOuterDisposeScope(), null);
        var features = decoder[1].call(decoder[0].call(joined));
        return (Cropped(decoder[2].call(features)).MoveToOuterDisposeScope(), Cropped(features).MoveToOuterDisposeScope());

        Tensor Cropped(Tensor map) =>
            (map.shape[2] == height && map.shape[3] == width ? map : map[.., .., ..(int)height, ..(int)width].contiguous()).to_type(
                ScalarType.Float32
            );
    }

    /// <summary>
    /// Chooses the codebooks' first codes from the maps they will quantize, top level first, since each level is quantized
    /// given the decoding of the one above.
    /// </summary>
    /// <param name="batches">(B, C, H, W) uint8, the first batches of training.</param>
    /// <param name="seed">Seed of the k-means.</param>
    /// <param name="sharing">How the batches lie on several ranks; null in one process.</param>
    public void InitializeCodebooks(IReadOnlyList<Tensor> batches, long seed, Sharing? sharing = null)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var encodings = batches.Select(batch => EncodeLevels(Normalized(batch))).ToArray();
        Tensor?[] decoded = new Tensor?[batches.Count];
        for (var level = Spec.Levels - 1; level >= 0; level--)
        {
            var maps = batches.Select((_, batch) => ProjectedMap(level, encodings[batch][level], decoded[batch])).ToArray();
            quantizers[level].Initialize(maps, SplitMix64.Derive(seed, level), sharing);
            if (level == 0)
                return;
            for (var batch = 0; batch < maps.Length; batch++)
                decoded[batch] = Condition(level, quantizers[level].Assigned(maps[batch]), decoded[batch]);
        }
    }

    private IReadOnlyList<Tensor> EncodeLevels(Tensor normalized)
    {
        var encodings = new List<Tensor>(Spec.Levels);
        var below = normalized;
        foreach (var encoder in encoders)
            encodings.Add(below = encoder.forward(below));
        return encodings;
    }

    private Quantized[] Quantize(IReadOnlyList<Tensor> encodings, TrainingMoment moment)
    {
        var result = new Quantized[Spec.Levels];
        Tensor? decoded = null;
        for (var level = Spec.Levels - 1; level >= 0; level--)
        {
            result[level] = quantizers[level]
                .Quantize(ProjectedMap(level, encodings[level], decoded), moment with { Seed = SplitMix64.Derive(moment.Seed, level) });
            if (level > 0)
                decoded = Condition(level, result[level].Map, decoded);
        }
        return result;
    }

    private Tensor ProjectedMap(int level, Tensor encoding, Tensor? decoded)
    {
        // (B, C, H, W) at the top, (B, 2C, H, W) below it
        var input = decoded is null ? encoding : cat([decoded, encoding], 1);
        return projections[level].call(input);
    }

    /// Upsamples a level's output to the grid below. The "skip" wiring of the appendix adds the decoding of the level above.
    private Tensor Condition(int level, Tensor map, Tensor? decodedAbove)
    {
        var decoded = conditioners[level].forward(map.ForConvolutions());
        return Spec.Wiring == "skip" && decodedAbove is not null
            ? decoded.Plus(nn.functional.interpolate(decodedAbove, scale_factor: [2, 2], mode: InterpolationMode.Nearest))
            : decoded;
    }

    private Tensor Normalized(Tensor pixels)
    {
        if (pixels.dim() != 4 || pixels.shape[1] != Spec.ImageChannels)
            throw new ArgumentException(
                $"expected pixels (B, {Spec.ImageChannels}, H, W), got ({string.Join(", ", pixels.shape)})",
                nameof(pixels)
            );
        var normalized = PixelNormalization.Normalize(pixels);
        var (bottom, right) = (Padding(pixels.shape[2]), Padding(pixels.shape[3]));
        var padded = (bottom, right) == (0, 0) ? normalized : nn.functional.pad(normalized, [0, right, 0, bottom]);
        return padded.ForConvolutions();
    }

    private long Padding(long side) => Spec.PaddedSide((int)side) - side;

    private Sequential LevelEncoder(int level)
    {
        if (level > 0)
            return nn.Sequential(Encoder(Spec.Channels, 2));
        List<nn.Module<Tensor, Tensor>> blocks = [Encoder(Spec.ImageChannels, Spec.Stride)];
        for (var block = 1; block < Spec.CoderBlocks; block++)
            blocks.Add(Encoder(Spec.Channels, 2));
        return nn.Sequential(blocks);
    }

    private Sequential LevelUpsampler(int level)
    {
        var width = quantizers[level].OutputChannels;
        List<nn.Module<Tensor, Tensor>> blocks =
            level == 0
                ? [Decoder(width, Spec.Channels, Spec.CoderBlocks > 1 ? 2 : 1)]
                : [new NearestUpsample(1 << (level - 1)), Decoder(width, Spec.Channels, 2)];
        for (var block = level == 0 ? 2 : 1; block < Spec.CoderBlocks; block++)
            blocks.Add(Decoder(Spec.Channels, Spec.Channels, 2));
        return nn.Sequential(blocks);
    }

    private EncoderBlock Encoder(int input, int stride) => new(input, Spec.Channels, Spec.ResidualBlocks, Spec.ResidualChannels, stride);

    private DecoderBlock Decoder(int input, int output, int stride) =>
        new(input, output, Spec.Channels, Spec.ResidualBlocks, Spec.ResidualChannels, stride);
}

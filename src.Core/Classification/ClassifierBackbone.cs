using DQ.Core.Autoencoders;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace DQ.Core.Classification;

/// <summary>One step of a network, behind which the network can be cut.</summary>
/// <param name="Name">State-dict prefix of its parameters, if it has any.</param>
/// <param name="Run">Computes its output from the output of the layer before; the caller disposes it.</param>
public sealed record NamedLayer(string Name, Func<Tensor, Tensor> Run);

/// <summary>Maps an image, or a map with any number of channels, to the map (B, <see cref="Channels"/>, H, W) that is pooled or
/// quantized.</summary>
public abstract class ClassifierBackbone(string name) : nn.Module<Tensor, Tensor>(name)
{
    public const string ResNet18 = "resnet18";
    public const string ResidualEncoder = "residual_encoder";

    /// <summary>No network between codes and head.</summary>
    public const string None = "none";

    /// <summary>Names that a configuration may use.</summary>
    public static IReadOnlyList<string> Names { get; } = [ResNet18, ResidualEncoder, None];

    /// <summary>The backbone that a specification names, for maps with this number of channels; null for none.</summary>
    public static ClassifierBackbone? Create(ClassifierSpec spec, int input) =>
        spec.Backbone switch
        {
            ResNet18 => new ResNet18(input),
            ResidualEncoder => new ResidualEncoder(spec, input),
            None => null,
            var other => throw new ArgumentException($"expected one of {string.Join(", ", Names)}, got '{other}'", nameof(spec)),
        };

    /// <summary>Channels of its output.</summary>
    public abstract int Channels { get; }

    /// <summary>Its steps; their composition is the backbone.</summary>
    public abstract IReadOnlyList<NamedLayer> Layers { get; }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return Layers.Aggregate(input, (map, layer) => layer.Run(map)).MoveToOuterDisposeScope();
    }
}

/// <summary>The encoder of the autoencoder's bottom level: strided convolutions and residual blocks.</summary>
/// <remarks>
/// With stride 4, one coder block, two residual blocks of 32 channels and C = 128 it is the small encoder of van den Oord et al. 2017,
/// section 4.1. State-dict keys: <c>blocks.{n}</c>.
/// </remarks>
public sealed class ResidualEncoder : ClassifierBackbone
{
    [ComponentName(Name = "blocks")]
    private readonly ModuleList<EncoderBlock> blocks;

    public ResidualEncoder(ClassifierSpec spec, int input)
        : base(nameof(ResidualEncoder))
    {
        Channels = spec.Channels;
        blocks = new([
            .. Enumerable
                .Range(0, spec.CoderBlocks)
                .Select(block => new EncoderBlock(
                    block == 0 ? input : spec.Channels,
                    spec.Channels,
                    spec.ResidualBlocks,
                    spec.ResidualChannels,
                    block == 0 ? spec.Stride : 2
                )),
        ]);
        RegisterComponents();
        WeightInitialization.Apply(this);
    }

    public override int Channels { get; }

    public override IReadOnlyList<NamedLayer> Layers => [.. blocks.Select((block, index) => new NamedLayer($"blocks.{index}", block.call))];
}

using TorchSharp.Modules;
using TorchSharp.Utils;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Classification;

/// <summary>ResNet-18 for small images: (B, in, H, W) to (B, 512, H/4, W/4).</summary>
/// <remarks>
/// Source: He et al. 2016, <i>Deep Residual Learning for Image Recognition</i>; the 32×32 form has a 3×3 convolution in place of the
/// strided 7×7 one, no max pooling, and strides 1, 1, 2, 2. State-dict keys, layer order and first weights are torchvision's
/// (<c>conv1</c>, <c>bn1</c>, <c>layer{1…4}.{0,1}.…</c>); its <c>fc</c> is the classifier's head.
/// </remarks>
public sealed class ResNet18 : ClassifierBackbone
{
    private static readonly (int Channels, int Stride)[] Stages = [(64, 1), (128, 1), (256, 2), (512, 2)];

    [ComponentName(Name = "conv1")]
    private readonly Conv2d stem;

    [ComponentName(Name = "bn1")]
    private readonly BatchNorm2d norm;

    private readonly Sequential[] stages;

    public ResNet18(int input)
        : base(nameof(ResNet18))
    {
        stem = nn.Conv2d(input, Stages[0].Channels, 3, padding: 1, bias: false);
        norm = nn.BatchNorm2d(Stages[0].Channels);
        var before = Stages[0].Channels;
        stages = new Sequential[Stages.Length];
        for (var stage = 0; stage < stages.Length; stage++)
        {
            var (channels, stride) = Stages[stage];
            stages[stage] = nn.Sequential(new BasicBlock(before, channels, stride), new BasicBlock(channels, channels, 1));
            before = channels;
        }
        RegisterComponents();
        for (var stage = 0; stage < stages.Length; stage++)
            register_module($"layer{stage + 1}", stages[stage]);
        InitializeConvolutions();
    }

    public override int Channels => Stages[^1].Channels;

    public override IReadOnlyList<NamedLayer> Layers =>
        [
            new("conv1", stem.call),
            new("bn1", map => norm.call(map).relu_()),
            .. stages.SelectMany(
                (stage, index) =>
                    stage.children().Cast<BasicBlock>().Select((block, place) => new NamedLayer($"layer{index + 1}.{place}", block.call))
            ),
        ];

    /// Initialization of He et al. 2015 for the variance of gradients (fan-out), as in torchvision.
    private void InitializeConvolutions()
    {
        using var _ = no_grad();
        foreach (var convolution in modules().OfType<Conv2d>())
            nn.init.kaiming_normal_(convolution.weight!, mode: nn.init.FanInOut.FanOut, nonlinearity: nn.init.NonlinearityType.ReLU);
    }
}

/// <summary>relu(shortcut(x) + f(x)), where f is 3×3 convolution, norm, ReLU, 3×3 convolution, norm: torchvision's basic block.</summary>
public sealed class BasicBlock : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "conv1")]
    private readonly Conv2d first;

    [ComponentName(Name = "bn1")]
    private readonly BatchNorm2d firstNorm;

    [ComponentName(Name = "conv2")]
    private readonly Conv2d second;

    [ComponentName(Name = "bn2")]
    private readonly BatchNorm2d secondNorm;

    /// Null if the shortcut is the input itself.
    [ComponentName(Name = "downsample")]
    private readonly Sequential? shortcut;

    public BasicBlock(int input, int channels, int stride)
        : base(nameof(BasicBlock))
    {
        first = nn.Conv2d(input, channels, 3, stride: stride, padding: 1, bias: false);
        firstNorm = nn.BatchNorm2d(channels);
        second = nn.Conv2d(channels, channels, 3, padding: 1, bias: false);
        secondNorm = nn.BatchNorm2d(channels);
        if (stride != 1 || input != channels)
            shortcut = nn.Sequential(nn.Conv2d(input, channels, 1, stride: stride, bias: false), nn.BatchNorm2d(channels));
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        var inner = firstNorm.call(first.call(input)).relu_();
        var branch = secondNorm.call(second.call(inner));
        return branch.add_(shortcut?.call(input) ?? input, One).relu_().MoveToOuterDisposeScope();
    }
}

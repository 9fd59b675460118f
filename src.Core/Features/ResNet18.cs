using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>torchvision's ResNet-18 (He et al. 2016, table 1): a 7×7 stem, four stages of two basic blocks, mean, linear map.</summary>
internal static class ResNet18
{
    private static readonly long[] Channels = [64, 128, 256, 512];

    public static IReadOnlyList<(string, nn.Module<Tensor, Tensor>)> Parts(long classes)
    {
        List<(string, nn.Module<Tensor, Tensor>)> parts =
        [
            ("conv1", nn.Conv2d(3, Channels[0], 7, stride: 2, padding: 3, bias: false)),
            ("bn1", nn.BatchNorm2d(Channels[0])),
            ("relu", nn.ReLU()),
            ("maxpool", nn.MaxPool2d(3, stride: 2, padding: 1)),
        ];
        var input = Channels[0];
        for (var stage = 0; stage < Channels.Length; stage++)
        {
            var channels = Channels[stage];
            parts.Add(($"layer{stage + 1}", nn.Sequential(new Block(input, channels, stage == 0 ? 1 : 2), new Block(channels, channels, 1))));
            input = channels;
        }
        parts.AddRange([("avgpool", nn.AdaptiveAvgPool2d([1, 1])), ("flatten", nn.Flatten()), ("fc", nn.Linear(input, classes))]);
        return parts;
    }

    /// <summary>Two 3×3 convolutions beside a shortcut: (B, in, H, W) to (B, C, H/stride, W/stride), not negative.</summary>
    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        [ComponentName(Name = "conv1")]
        private readonly Conv2d first;

        [ComponentName(Name = "bn1")]
        private readonly BatchNorm2d firstNorm;

        [ComponentName(Name = "conv2")]
        private readonly Conv2d second;

        [ComponentName(Name = "bn2")]
        private readonly BatchNorm2d secondNorm;

        [ComponentName(Name = "downsample")]
        private readonly Sequential? shortcut;

        public Block(long input, long channels, long stride)
            : base(nameof(Block))
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
            var inner = firstNorm.forward(first.forward(input)).relu_();
            var beside = shortcut is null ? input : shortcut.forward(input);
            return secondNorm.forward(second.forward(inner)).add_(beside).relu_().MoveToOuterDisposeScope();
        }
    }
}

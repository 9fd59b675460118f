using DQ.Core.Classification;
using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>torchvision's ResNet-18 (He et al. 2016, table 1): a 7×7 stem, four stages of two basic blocks, mean, linear map.</summary>
internal static class TorchvisionResNet18
{
    private static readonly int[] Channels = [64, 128, 256, 512];

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
            parts.Add(
                (
                    $"layer{stage + 1}",
                    nn.Sequential(new BasicBlock(input, channels, stage == 0 ? 1 : 2), new BasicBlock(channels, channels, 1))
                )
            );
            input = channels;
        }
        parts.AddRange([("avgpool", nn.AdaptiveAvgPool2d([1, 1])), ("flatten", nn.Flatten()), ("fc", nn.Linear(input, classes))]);
        return parts;
    }
}

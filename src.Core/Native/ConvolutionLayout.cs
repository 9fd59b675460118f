using static TorchSharp.torch;

namespace DQ.Core.Native;

/// <summary>The order of a map's elements in memory: channels second, or on a GPU with <c>DQ_CHANNELS_LAST=1</c> last.</summary>
/// <remarks>Which is faster on a GPU has not been measured yet, so the order that was measured is the default (docs/gpu.md).</remarks>
internal static class ConvolutionLayout
{
    private static readonly bool channelsLast = Environment.GetEnvironmentVariable("DQ_CHANNELS_LAST") == "1";

    /// <summary>The same map (B, C, H, W), with the channels of a position beside each other if that is asked for.</summary>
    public static Tensor ForConvolutions(this Tensor map) =>
        channelsLast && map.device_type == TorchSharp.DeviceType.CUDA ? ChannelsLast(map) : map;

    /// <summary>The same map with strides of (B, H, W, C); convolutions and element-wise operations keep them.</summary>
    internal static Tensor ChannelsLast(Tensor map) => map.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);
}

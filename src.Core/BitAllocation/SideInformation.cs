namespace DQ.Core.BitAllocation;

/// <summary>What a receiver must know besides the levels.</summary>
public static class SideInformation
{
    /// <summary>A number from 0 to 8.</summary>
    private const int BitCount = 4;

    /// <summary>An interval and a lowest value, float32.</summary>
    private const int ChannelScale = 64;

    /// <summary>How often one level was chosen on the calibration images.</summary>
    private const int Frequency = 16;

    /// <summary>The bits of every channel: all that is sent again when the allocation changes from image to image.</summary>
    public static long AllocationBits(int channels) => (long)channels * BitCount;

    /// <summary>Once for all images of one allocation: bits, interval and lowest value of every channel, frequencies of its levels.</summary>
    public static long TableBits(IReadOnlyList<int> bits) =>
        AllocationBits(bits.Count) + bits.Sum(count => ChannelScale + ((long)Frequency << count));
}

namespace DQ.Core.BitAllocation;

/// <summary>Bits of the information that a receiver needs besides the levels.</summary>
public static class SideInformation
{
    /// <summary>A number from 0 to 8.</summary>
    private const int BitCount = 4;

    /// <summary>An interval and a lowest value, float32.</summary>
    private const int ChannelScale = 64;

    /// <summary>The count of one level on the calibration images.</summary>
    private const int Frequency = 16;

    /// <summary>The bits of every channel. Only these are sent again if the allocation changes from image to image.</summary>
    public static long AllocationBits(int channels) => (long)channels * BitCount;

    /// <summary>Sent once for all images of one allocation: bits, interval and lowest value of every channel, frequencies of its
    /// levels.</summary>
    public static long TableBits(IReadOnlyList<int> bits) =>
        AllocationBits(bits.Count) + bits.Sum(count => ChannelScale + ((long)Frequency << count));
}

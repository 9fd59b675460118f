using TorchSharp;

namespace DQ.Core.Native;

/// <summary>Numbers for tensor operations that outlive the operation.</summary>
/// <remarks>
/// A number in an operation becomes an object of which TorchSharp 0.107 hands only the native part on: from then on nothing holds the
/// object, and a collection at that moment frees what libtorch still reads (an exception at best, another number at worst). What
/// training computes at every step therefore takes its numbers from here. The last few thousand are held.
/// </remarks>
public static class Scalars
{
    /// <summary>Far more than all threads can have in operations at once.</summary>
    private const int Held = 4096;

    private static readonly Scalar?[] ring = new Scalar?[Held];
    private static uint next;

    public static Scalar Kept(double value) => Keep(value);

    public static Scalar Kept(long value) => Keep(value);

    private static Scalar Keep(Scalar scalar)
    {
        Volatile.Write(ref ring[Interlocked.Increment(ref next) % Held], scalar);
        return scalar;
    }
}

using TorchSharp;

namespace DQ.Core.Native;

/// <summary>Numbers for tensor operations that outlive the operation.</summary>
/// <remarks>
/// The fault is TorchSharp's, seen in 0.107.0. <c>tensor * 2</c> and the like make a <c>Scalar</c> of the number and give libtorch the
/// address of its native part only. Nothing holds the object from then on, so a collection at that moment frees what libtorch still
/// reads: an exception at best, another number at worst. What <see cref="Kept(double)"/> gives is held here until a few thousand
/// others have come. Every number that the program hands to a tensor operation goes through it; a test reads the compiled code for
/// such that don't (<c>tests/Native/HeldScalarsTests.fs</c>). Out of reach is the factor 1 that TorchSharp itself makes within
/// <c>a + b</c> and <c>a − b</c> of two tensors.
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

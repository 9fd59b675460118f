using TorchSharp;

namespace DQ.Core.Native;

/// <summary>Numbers for tensor operations that outlive the operation.</summary>
/// <remarks>
/// The fault is TorchSharp's, seen in 0.107.0. <c>tensor * 2</c> and the like make a <c>Scalar</c> of the number and give libtorch the
/// address of its native part only. Nothing holds the object from then on, so a collection at that moment frees what libtorch still
/// reads: an exception at best, another number at worst. What <see cref="Kept(double)"/> gives is held here until a few thousand
/// others have come. Every number that the program hands to a tensor operation goes through it. Some operations make a number
/// themselves, such as the factor 1 of <c>a + b</c>: <see cref="HeldOperations"/> stand for them. A test reads the compiled code, and
/// TorchSharp's, for calls that hand on or make a number that nothing holds (<c>tests/Native/HeldScalarsTests.fs</c>).
/// </remarks>
public static class Scalars
{
    /// <summary>Far more than all threads can have in operations at once.</summary>
    private const int Held = 4096;

    private static readonly Scalar?[] ring = new Scalar?[Held];
    private static uint next;

    /// <summary>The factor 1 of an addend: <c>a.add_(b, One)</c>.</summary>
    public static Scalar One { get; } = 1;

    public static Scalar Kept(double value) => Keep(value);

    public static Scalar Kept(long value) => Keep(value);

    private static Scalar Keep(Scalar scalar)
    {
        Volatile.Write(ref ring[Interlocked.Increment(ref next) % Held], scalar);
        return scalar;
    }
}

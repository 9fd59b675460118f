using TorchSharp;

namespace DQ.Core.Native;

/// <summary>Numbers for tensor operations, which stay alive longer than the operation.</summary>
/// <remarks>
/// The reason is a bug of TorchSharp, seen in 0.107.0. <c>tensor * 2</c> and similar calls create a <c>Scalar</c> from the number and pass
/// libtorch only the address of its native part. After that nothing keeps the object alive. A garbage collection at that moment frees
/// memory that libtorch still reads: the result is an exception or a wrong number. The result of <see cref="Kept(double)"/> is kept alive
/// here until a few thousand others have followed. The program passes every number for a tensor operation through it. Some operations
/// create a number themselves, such as the factor 1 of <c>a + b</c>; <see cref="HeldOperations"/> replace these. A test searches the
/// compiled code, and TorchSharp's, for calls that pass on or create a number that nothing keeps alive
/// (<c>tests/Native/HeldScalarsTests.fs</c>).
/// </remarks>
public static class Scalars
{
    /// <summary>Far more numbers than all threads can use in operations at the same time.</summary>
    private const int Held = 4096;

    private static readonly Scalar?[] ring = new Scalar?[Held];
    private static uint next;

    /// <summary>The factor 1 for an addend: <c>a.add_(b, One)</c>.</summary>
    public static Scalar One { get; } = 1;

    public static Scalar Kept(double value) => Keep(value);

    public static Scalar Kept(long value) => Keep(value);

    private static Scalar Keep(Scalar scalar)
    {
        Volatile.Write(ref ring[Interlocked.Increment(ref next) % Held], scalar);
        return scalar;
    }
}

#!/usr/bin/env dotnet
// The rate of int16 products that a machine has: what lossless files' nets are made of, with operands in the first cache.
//
//   dotnet run -c Release docs/compare/int16_rate.cs [THREADS]
//
// Prints billions of multiply-adds a second: the best of ten tries, each of a tenth of a second or so.
#:property AllowUnsafeBlocks=true
#:property RestorePackagesWithLockFile=false
#:property TreatWarningsAsErrors=false
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

const int Rounds = 20_000_000;
const int Sums = 12;
var threads = args.Length > 0 ? int.Parse(args[0]) : Environment.ProcessorCount;
var lanes =
    Avx512BW.IsSupported ? 32
    : Avx2.IsSupported ? 16
    : throw new PlatformNotSupportedException("expected AVX2");
var best = 0.0;
for (var attempt = 0; attempt < 10; attempt++)
{
    var watch = Stopwatch.StartNew();
    Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, _ => Work.Run(Rounds));
    best = Math.Max(best, (double)threads * Rounds * Sums * lanes / watch.Elapsed.TotalSeconds);
}
Console.WriteLine($"{best / 1e9:0.0} billion multiply-adds a second, {threads} threads, vectors of {lanes} int16");

internal static class Work
{
    private static int _kept;

    public static void Run(int rounds) => _kept ^= Avx512BW.IsSupported ? Wide(rounds) : Narrow(rounds);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe int Narrow(int rounds)
    {
        var numbers = (short*)NativeMemory.AlignedAlloc(12 * 32, 64);
        Vector256<short> x = Vector256.Create((short)rounds),
            y = Vector256.Create((short)3);
        Vector256<int> a = default,
            b = default,
            c = default,
            d = default,
            e = default,
            f = default;
        Vector256<int> g = default,
            h = default,
            i = default,
            j = default,
            k = default,
            l = default;
        for (var round = 0; round < rounds; round++)
        {
            a += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 0));
            b += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 16));
            c += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 32));
            d += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 48));
            e += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 64));
            f += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 80));
            g += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 96));
            h += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 112));
            i += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 128));
            j += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 144));
            k += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 160));
            l += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 176));
            x += y;
        }
        return Vector256.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe int Wide(int rounds)
    {
        var numbers = (short*)NativeMemory.AlignedAlloc(12 * 64, 64);
        Vector512<short> x = Vector512.Create((short)rounds),
            y = Vector512.Create((short)3);
        Vector512<int> a = default,
            b = default,
            c = default,
            d = default,
            e = default,
            f = default;
        Vector512<int> g = default,
            h = default,
            i = default,
            j = default,
            k = default,
            l = default;
        for (var round = 0; round < rounds; round++)
        {
            a += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 0));
            b += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 32));
            c += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 64));
            d += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 96));
            e += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 128));
            f += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 160));
            g += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 192));
            h += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 224));
            i += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 256));
            j += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 288));
            k += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 320));
            l += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 352));
            x += y;
        }
        return Vector512.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
    }
}

using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace DQ.Core.Coding;

/// <summary>What an instruction set does for a product: pairs of int16 times pairs of int16, summed into int32.</summary>
internal interface IProductLanes<TVector>
    where TVector : struct
{
    /// <summary>Sums held side by side.</summary>
    static abstract int Count { get; }

    static abstract unsafe TVector LoadSums(int* sums);
    static abstract unsafe void StoreSums(TVector sums, int* target);
    static abstract unsafe TVector LoadWeights(short* weights);
    static abstract unsafe TVector Repeat(short* pair);
    static abstract TVector MultiplyAdd(TVector sums, TVector pairs, TVector weights);
}

internal readonly struct Lanes512 : IProductLanes<Vector512<int>>
{
    public static bool IsSupported => Avx512BW.IsSupported;
    public static int Count => 16;

    public static unsafe Vector512<int> LoadSums(int* sums) => Vector512.Load(sums);

    public static unsafe void StoreSums(Vector512<int> sums, int* target) => sums.Store(target);

    public static unsafe Vector512<int> LoadWeights(short* weights) => Vector512.Load((int*)weights);

    public static unsafe Vector512<int> Repeat(short* pair) => Vector512.Create(*(int*)pair);

    public static Vector512<int> MultiplyAdd(Vector512<int> sums, Vector512<int> pairs, Vector512<int> weights) =>
        sums + Avx512BW.MultiplyAddAdjacent(pairs.AsInt16(), weights.AsInt16());
}

internal readonly struct Lanes256 : IProductLanes<Vector256<int>>
{
    public static bool IsSupported => Avx2.IsSupported;
    public static int Count => 8;

    public static unsafe Vector256<int> LoadSums(int* sums) => Vector256.Load(sums);

    public static unsafe void StoreSums(Vector256<int> sums, int* target) => sums.Store(target);

    public static unsafe Vector256<int> LoadWeights(short* weights) => Vector256.Load((int*)weights);

    public static unsafe Vector256<int> Repeat(short* pair) => Vector256.Create(*(int*)pair);

    public static Vector256<int> MultiplyAdd(Vector256<int> sums, Vector256<int> pairs, Vector256<int> weights) =>
        sums + Avx2.MultiplyAddAdjacent(pairs.AsInt16(), weights.AsInt16());
}

internal readonly struct Lanes128 : IProductLanes<Vector128<int>>
{
    public static bool IsSupported => Sse2.IsSupported;
    public static int Count => 4;

    public static unsafe Vector128<int> LoadSums(int* sums) => Vector128.Load(sums);

    public static unsafe void StoreSums(Vector128<int> sums, int* target) => sums.Store(target);

    public static unsafe Vector128<int> LoadWeights(short* weights) => Vector128.Load((int*)weights);

    public static unsafe Vector128<int> Repeat(short* pair) => Vector128.Create(*(int*)pair);

    public static Vector128<int> MultiplyAdd(Vector128<int> sums, Vector128<int> pairs, Vector128<int> weights) =>
        sums + Sse2.MultiplyAddAdjacent(pairs.AsInt16(), weights.AsInt16());
}

/// <summary>Without vectors: one sum.</summary>
internal readonly struct Lanes1 : IProductLanes<int>
{
    public static int Count => 1;

    public static unsafe int LoadSums(int* sums) => *sums;

    public static unsafe void StoreSums(int sums, int* target) => *target = sums;

    public static unsafe int LoadWeights(short* weights) => *(int*)weights;

    public static unsafe int Repeat(short* pair) => *(int*)pair;

    public static int MultiplyAdd(int sums, int pairs, int weights) =>
        sums + (short)pairs * (short)weights + (pairs >> 16) * (weights >> 16);
}

/// <summary>
/// Products of many inputs with one layer: blocks of six rows of inputs by two vectors of outputs stay in registers, and the weights
/// of a block in the first cache.
/// </summary>
internal static unsafe class IntegerProduct<TVector, TLanes>
    where TVector : struct
    where TLanes : struct, IProductLanes<TVector>
{
    /// <summary>
    /// sums[row, output] = bias[output] + Σ inputs[row, i] · weights[output, i] for six rows and the outputs of one block.
    /// </summary>
    /// <param name="inputs">Six rows.</param>
    /// <param name="stride">Numbers from a row of inputs to the next.</param>
    /// <param name="weights">The block's: pairs of inputs, then outputs, then the two of a pair.</param>
    /// <param name="pairs">Pairs of inputs.</param>
    /// <param name="bias">The block's.</param>
    /// <param name="sums">Six rows of a block.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Block(short* inputs, int stride, short* weights, int pairs, int* bias, int* sums)
    {
        var count = TLanes.Count;
        TVector bias0 = TLanes.LoadSums(bias),
            bias1 = TLanes.LoadSums(bias + count);
        TVector a0 = bias0,
            a1 = bias1,
            b0 = bias0,
            b1 = bias1,
            c0 = bias0,
            c1 = bias1;
        TVector d0 = bias0,
            d1 = bias1,
            e0 = bias0,
            e1 = bias1,
            f0 = bias0,
            f1 = bias1;
        nint second = stride,
            third = 2 * second;
        var fourth = inputs + 3 * second;
        for (var pair = 0; pair < pairs; pair++)
        {
            var w0 = TLanes.LoadWeights(weights);
            var w1 = TLanes.LoadWeights(weights + 2 * count);
            weights += 4 * count;
            var x = TLanes.Repeat(inputs);
            a0 = TLanes.MultiplyAdd(a0, x, w0);
            a1 = TLanes.MultiplyAdd(a1, x, w1);
            x = TLanes.Repeat(inputs + second);
            b0 = TLanes.MultiplyAdd(b0, x, w0);
            b1 = TLanes.MultiplyAdd(b1, x, w1);
            x = TLanes.Repeat(inputs + third);
            c0 = TLanes.MultiplyAdd(c0, x, w0);
            c1 = TLanes.MultiplyAdd(c1, x, w1);
            x = TLanes.Repeat(fourth);
            d0 = TLanes.MultiplyAdd(d0, x, w0);
            d1 = TLanes.MultiplyAdd(d1, x, w1);
            x = TLanes.Repeat(fourth + second);
            e0 = TLanes.MultiplyAdd(e0, x, w0);
            e1 = TLanes.MultiplyAdd(e1, x, w1);
            x = TLanes.Repeat(fourth + third);
            f0 = TLanes.MultiplyAdd(f0, x, w0);
            f1 = TLanes.MultiplyAdd(f1, x, w1);
            inputs += 2;
            fourth += 2;
        }
        TLanes.StoreSums(a0, sums);
        TLanes.StoreSums(a1, sums + count);
        TLanes.StoreSums(b0, sums + 2 * count);
        TLanes.StoreSums(b1, sums + 3 * count);
        TLanes.StoreSums(c0, sums + 4 * count);
        TLanes.StoreSums(c1, sums + 5 * count);
        TLanes.StoreSums(d0, sums + 6 * count);
        TLanes.StoreSums(d1, sums + 7 * count);
        TLanes.StoreSums(e0, sums + 8 * count);
        TLanes.StoreSums(e1, sums + 9 * count);
        TLanes.StoreSums(f0, sums + 10 * count);
        TLanes.StoreSums(f1, sums + 11 * count);
    }
}

using System.Runtime.Intrinsics;

namespace DQ.Core.Coding;

/// <summary>A frozen layer's sums for rows of inputs. All instruction sets give the same numbers; <see cref="For"/> takes the widest.</summary>
internal abstract unsafe class LayerProduct
{
    /// <summary>Rows of a block: a number of rows is rounded up to a multiple of it, and buffers must have that many.</summary>
    public const int RowsOfBlock = 6;

    /// <summary>Sums of a row, padded to whole blocks.</summary>
    public abstract int Stride { get; }

    /// <summary>Computes sums[row, output] for the first rows.</summary>
    /// <param name="inputs">Rows of int16.</param>
    /// <param name="inputStride">Even number from a row of inputs to the next; what lies beyond the layer's inputs is 0.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="sums">Rows of <see cref="Stride"/> sums.</param>
    public abstract void Run(short* inputs, int inputStride, int rows, int* sums);

    public static LayerProduct For(FrozenLayer layer) =>
        Lanes512.IsSupported ? new LayerProduct<Vector512<int>, Lanes512>(layer)
        : Lanes256.IsSupported ? new LayerProduct<Vector256<int>, Lanes256>(layer)
        : Lanes128.IsSupported ? new LayerProduct<Vector128<int>, Lanes128>(layer)
        : new LayerProduct<int, Lanes1>(layer);
}

/// <inheritdoc/>
internal sealed unsafe class LayerProduct<TVector, TLanes>(FrozenLayer layer) : LayerProduct
    where TVector : struct
    where TLanes : struct, IProductLanes<TVector>
{
    private readonly PackedLayer _packed = new(layer, BlockOutputs);

    private static int BlockOutputs => 2 * TLanes.Count;

    public override int Stride => _packed.Blocks * BlockOutputs;

    public override void Run(short* inputs, int inputStride, int rows, int* sums)
    {
        var block = stackalloc int[RowsOfBlock * BlockOutputs];
        for (var outputs = 0; outputs < _packed.Blocks; outputs++)
        {
            var weights = ContextNet.Address(_packed.Weights) + outputs * _packed.Pairs * BlockOutputs * 2;
            var bias = ContextNet.Address(_packed.Bias) + outputs * BlockOutputs;
            for (var row = 0; row < rows; row += RowsOfBlock)
            {
                IntegerProduct<TVector, TLanes>.Block(inputs + row * inputStride, inputStride, weights, _packed.Pairs, bias, block);
                for (var inner = 0; inner < RowsOfBlock; inner++)
                    new ReadOnlySpan<int>(block + inner * BlockOutputs, BlockOutputs).CopyTo(
                        new Span<int>(sums + (row + inner) * Stride + outputs * BlockOutputs, BlockOutputs)
                    );
            }
        }
    }
}

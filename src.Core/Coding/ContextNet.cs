using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace DQ.Core.Coding;

/// <summary>The net of a frozen context head, for a batch of pixels: what one thread works with.</summary>
/// <remarks>All instruction sets give the same numbers; <see cref="For"/> takes the widest.</remarks>
internal abstract unsafe class ContextNet
{
    /// <summary>Pixels a batch has at most: a multiple of the six rows of a product.</summary>
    public const int BatchPixels = 192;

    private const int RowPadding = 32;

    private readonly short[] _inputs;
    private readonly int[] _outputs;

    private protected ContextNet(FrozenContext model)
    {
        Model = model;
        InputStride = Padded(model.Spec.Inputs);
        HiddenStride = Padded(model.Spec.Width);
        // the mixture's vectors read up to three numbers beyond the last output
        OutputStride = Padded(model.Spec.Outputs + 3);
        _inputs = GC.AllocateArray<short>(BatchPixels * InputStride, pinned: true);
        _outputs = GC.AllocateArray<int>(BatchPixels * OutputStride, pinned: true);
    }

    /// <summary>The model it is the net of.</summary>
    public FrozenContext Model { get; }

    /// <summary>Numbers from a pixel's inputs to the next's.</summary>
    public int InputStride { get; }

    /// <summary>Numbers from a pixel's outputs to the next's.</summary>
    public int OutputStride { get; }

    private protected int HiddenStride { get; }

    /// <summary>(<see cref="BatchPixels"/>, <see cref="InputStride"/>).</summary>
    public short* Inputs => Address(_inputs);

    /// <summary>(<see cref="BatchPixels"/>, <see cref="OutputStride"/>), in units of the last layer's sums.</summary>
    public int* Outputs => Address(_outputs);

    /// <summary>The net with the widest instructions this processor has.</summary>
    public static ContextNet For(FrozenContext model) =>
        Lanes512.IsSupported ? new ContextNet<Vector512<int>, Lanes512>(model)
        : Lanes256.IsSupported ? new ContextNet<Vector256<int>, Lanes256>(model)
        : Lanes128.IsSupported ? new ContextNet<Vector128<int>, Lanes128>(model)
        : new ContextNet<int, Lanes1>(model);

    /// <summary>Computes <see cref="Outputs"/> of the first pixels from their <see cref="Inputs"/>.</summary>
    public abstract void Run(int pixels);

    /// <summary>Of an array that is pinned.</summary>
    public static T* Address<T>(T[] pinned)
        where T : unmanaged => (T*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(pinned));

    private static int Padded(int count) => (count + RowPadding - 1) / RowPadding * RowPadding;
}

/// <inheritdoc/>
internal sealed unsafe class ContextNet<TVector, TLanes> : ContextNet
    where TVector : struct
    where TLanes : struct, IProductLanes<TVector>
{
    private const int RowsOfBlock = 6;

    private readonly PackedLayer _enter;
    private readonly PackedLayer[] _hidden;
    private readonly PackedLayer _leave;
    private readonly short[] _first;
    private readonly short[] _second;

    public ContextNet(FrozenContext model)
        : base(model)
    {
        var live = new LiveUnits(model);
        _enter = new PackedLayer(live.Enter, BlockOutputs);
        _hidden = [.. live.Hidden.Select(layer => new PackedLayer(layer, BlockOutputs))];
        _leave = new PackedLayer(live.Leave, BlockOutputs);
        _first = GC.AllocateArray<short>(BatchPixels * HiddenStride, pinned: true);
        _second = GC.AllocateArray<short>(BatchPixels * HiddenStride, pinned: true);
    }

    private static int BlockOutputs => 2 * TLanes.Count;

    public override void Run(int pixels)
    {
        short* current = Address(_first),
            other = Address(_second);
        Activate(_enter, Inputs, InputStride, pixels, current, null);
        for (var layer = 0; layer < _hidden.Length; layer++)
        {
            Activate(_hidden[layer], current, HiddenStride, pixels, other, layer == 0 ? null : current);
            var next = other;
            other = current;
            current = next;
        }
        Leave(current, pixels);
    }

    /// target = min(added + max(sums, 0) >> shift, largest)
    private void Activate(PackedLayer layer, short* inputs, int stride, int pixels, short* target, short* added)
    {
        var sums = stackalloc int[RowsOfBlock * BlockOutputs];
        for (var block = 0; block < layer.Blocks; block++)
        {
            var weights = Address(layer.Weights) + block * layer.Pairs * BlockOutputs * 2;
            var bias = Address(layer.Bias) + block * BlockOutputs;
            for (var row = 0; row < pixels; row += RowsOfBlock)
            {
                IntegerProduct<TVector, TLanes>.Block(inputs + row * stride, stride, weights, layer.Pairs, bias, sums);
                for (var inner = 0; inner < RowsOfBlock; inner++)
                {
                    var at = (row + inner) * HiddenStride + block * BlockOutputs;
                    Cut(sums + inner * BlockOutputs, layer.Shift, target + at, added == null ? null : added + at);
                }
            }
        }
    }

    private static void Cut(int* sums, int shift, short* target, short* added)
    {
        if (BlockOutputs >= 16)
        {
            var largest = Vector256.Create((short)FrozenContext.LargestActivation);
            for (var i = 0; i < BlockOutputs; i += 16)
            {
                var low = Vector256.Max(Vector256.Load(sums + i), Vector256<int>.Zero) >> shift;
                var high = Vector256.Max(Vector256.Load(sums + i + 8), Vector256<int>.Zero) >> shift;
                var value = Vector256.NarrowWithSaturation(low, high);
                value = Vector256.Min(value, largest);
                if (added != null)
                    value = Vector256.Min(value + Vector256.Load(added + i), largest);
                value.Store(target + i);
            }
            return;
        }
        if (BlockOutputs == 8)
        {
            var largest = Vector128.Create((short)FrozenContext.LargestActivation);
            var low = Vector128.Max(Vector128.Load(sums), Vector128<int>.Zero) >> shift;
            var high = Vector128.Max(Vector128.Load(sums + 4), Vector128<int>.Zero) >> shift;
            var value = Vector128.NarrowWithSaturation(low, high);
            value = Vector128.Min(value, largest);
            if (added != null)
                value = Vector128.Min(value + Vector128.Load(added), largest);
            value.Store(target);
            return;
        }
        for (var i = 0; i < BlockOutputs; i++)
        {
            var value = Math.Min(Math.Max(sums[i], 0) >> shift, FrozenContext.LargestActivation);
            target[i] = (short)(added == null ? value : Math.Min(value + added[i], FrozenContext.LargestActivation));
        }
    }

    private void Leave(short* inputs, int pixels)
    {
        var sums = stackalloc int[RowsOfBlock * BlockOutputs];
        for (var block = 0; block < _leave.Blocks; block++)
        {
            var weights = Address(_leave.Weights) + block * _leave.Pairs * BlockOutputs * 2;
            var bias = Address(_leave.Bias) + block * BlockOutputs;
            for (var row = 0; row < pixels; row += RowsOfBlock)
            {
                IntegerProduct<TVector, TLanes>.Block(inputs + row * HiddenStride, HiddenStride, weights, _leave.Pairs, bias, sums);
                for (var inner = 0; inner < RowsOfBlock; inner++)
                    new ReadOnlySpan<int>(sums + inner * BlockOutputs, BlockOutputs).CopyTo(
                        new Span<int>(Outputs + (row + inner) * OutputStride + block * BlockOutputs, BlockOutputs)
                    );
            }
        }
    }
}

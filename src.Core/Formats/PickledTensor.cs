using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>A tensor of a file: a strided view of a storage, which is read on request.</summary>
public sealed class PickledTensor : PickledValue
{
    private readonly PickledStorage storage;
    private readonly long[] strides;
    private readonly long offset;
    private readonly long reach; // number of elements of the storage from the first to the last that the view uses

    /// <param name="storage">Storage with the elements.</param>
    /// <param name="offset">Index of the first element.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="strides">Strides in elements, one per size.</param>
    /// <exception cref="WeightsException">The view reaches beyond the storage.</exception>
    internal PickledTensor(PickledStorage storage, long offset, long[] shape, long[] strides)
    {
        if (shape.Length > SafeTensorsHeader.MaximumDimensions || strides.Length != shape.Length)
            throw new WeightsException(
                $"expected a tensor of at most {SafeTensorsHeader.MaximumDimensions} sizes with as many strides, found {shape.Length} and {strides.Length}"
            );
        this.storage = storage;
        Shape = shape;
        this.offset = offset;
        this.strides = strides;
        try
        {
            checked
            {
                // a size of 0 must not hide an overflow, because libtorch multiplies the other sizes to strides
                var bytes = shape.Aggregate((long)SafeTensorsType.BytesOf(Type), (product, size) => product * Math.Max(size, 1));
                var viewBytes = shape.Contains(0) ? 0 : bytes;
                reach = viewBytes == 0 ? 0 : 1 + shape.Zip(strides, (size, stride) => (size - 1) * stride).Sum();
                Cost = viewBytes + (reach + (storage.Sequential ? offset : 0)) * SafeTensorsType.BytesOf(Type);
                var outside = reach > 0 && reach > storage.Count - offset;
                if (outside || offset < 0 || shape.Any(size => size < 0) || strides.Any(stride => stride < 0))
                    throw OutOfStorage();
            }
        }
        catch (OverflowException)
        {
            throw OutOfStorage();
        }
    }

    public ScalarType Type => storage.Type;

    public IReadOnlyList<long> Sizes => Shape;

    internal long[] Shape { get; }

    /// <summary>Bytes that are read or allocated to read the tensor.</summary>
    internal long Cost { get; }

    /// <summary>A fresh contiguous CPU tensor, owned by the caller. Elements that share storage in the file do not share memory
    /// here.</summary>
    /// <exception cref="WeightsException">The bytes are damaged.</exception>
    public Tensor Read()
    {
        using var scope = NewDisposeScope();
        var width = SafeTensorsType.BytesOf(Type);
        using var bytes = reach == 0 ? Stream.Null : storage.Open(offset * width, reach * width);
        var flat = TensorBytes.Read(bytes, Type, [reach]);
        var view = reach == 0 ? flat.reshape(Shape) : flat.as_strided(Shape, strides);
        return view.contiguous().MoveToOuterDisposeScope();
    }

    private WeightsException OutOfStorage() =>
        new(
            $"expected a tensor inside its storage of {storage.Count} elements, found sizes [{string.Join(", ", Shape)}], strides [{string.Join(", ", strides)}] at {offset}"
        );
}

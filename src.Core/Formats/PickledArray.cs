using System.Numerics;

namespace DQ.Core.Formats;

/// <summary>A numpy array in a pickle, with its bytes in place.</summary>
/// <remarks>
/// Source: <c>ndarray.__reduce__</c>, <c>__setstate__</c> and <c>__reduce_ex__(5)</c> in numpy 1.24 and 2; the module names changed with
/// numpy 2. Readers of weights refuse arrays; <see cref="Call"/> is for readers of data.
/// </remarks>
public sealed class PickledArray : PickledValue
{
    private PickledArray() { }

    /// <summary>Kind and size in bytes of an element, such as <c>u1</c> or <c>i8</c>.</summary>
    public string ElementType { get; private set; } = "";

    public bool IsBigEndian { get; private set; }

    /// <summary>Shape; the last axis varies fastest.</summary>
    public IReadOnlyList<long> Shape { get; private set; } = [];

    public ReadOnlyMemory<byte> Bytes { get; private set; }

    /// <summary>Further functions that a pickle of arrays may call.</summary>
    internal static PickledValue? Call(PickledGlobal function, IReadOnlyList<PickledValue> arguments)
    {
        switch (function.Name, arguments)
        {
            // an empty array, which a later BUILD fills
            case (
                "numpy.core.multiarray._reconstruct"
                    or "numpy._core.multiarray._reconstruct",
                [PickledGlobal { Name: "numpy.ndarray" }, _, _]
            ):
                return new PickledArray();
            // protocol 5
            case (
                "numpy.core.numeric._frombuffer"
                    or "numpy._core.numeric._frombuffer",
                [var bytes, var type, var shape, PickledText { Value: "C" }]
            ):
            {
                var array = new PickledArray();
                array.Fill(shape, type, bytes);
                return array;
            }
            default:
                return null;
        }
    }

    /// <summary>Reads the state that numpy pickles: version, shape, type, whether in Fortran's order, bytes.</summary>
    internal void Fill(IReadOnlyList<PickledValue> state)
    {
        if (state is not [_, var shape, var type, PickledBoolean { Value: false }, var bytes])
            throw new WeightsException("expected numpy arrays with a shape, a type and bytes, the last axis fastest");
        Fill(shape, type, bytes);
    }

    private void Fill(PickledValue shape, PickledValue type, PickledValue bytes)
    {
        if (
            shape is not PickledSequence { Items: var sizes }
            || type is not PickledObject { ClassName: PickleCalls.NumpyType } described
            || !described.Attributes.TryGetValue("code", out var code)
            || code is not PickledText { Value: [_, >= '1' and <= '8'] element }
            || bytes is not PickledBytes content
        )
            throw new WeightsException("expected numpy arrays with a shape, a type of numbers and bytes");
        ElementType = element;
        IsBigEndian = described.Attributes.TryGetValue("byteorder", out var order) && order is PickledText { Value: ">" };
        Shape = [.. sizes.Select(Size)];
        Bytes = content.Value;
        var expected = Shape.Aggregate((BigInteger)(element[1] - '0'), (product, size) => product * size);
        if (expected != Bytes.Length)
            throw new WeightsException($"expected {expected} bytes in a numpy array of its shape, found {Bytes.Length}");
    }

    private static long Size(PickledValue value) =>
        value is PickledInteger { Value: var size } && size >= 0 && size <= int.MaxValue
            ? (long)size
            : throw new WeightsException($"expected sides of numpy arrays from 0 to {int.MaxValue}");
}

using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>The elements that tensors of a file are views of. Only the unpickler sees these: what is read is tensors.</summary>
/// <param name="type">Of the elements.</param>
/// <param name="bytes">Of all of them.</param>
/// <param name="sequential">True when what is before an element must be read to come to it.</param>
/// <param name="open">Opens the bytes from an offset on, so many of them.</param>
internal sealed class PickledStorage(ScalarType type, long bytes, bool sequential, Func<long, long, Stream> open) : PickledValue
{
    public ScalarType Type { get; } = type;

    public long Count { get; } = bytes / SafeTensorsType.BytesOf(type);

    public bool Sequential { get; } = sequential;

    public Func<long, long, Stream> Open { get; } = open;

    /// <summary>The same bytes as elements of another type.</summary>
    public PickledStorage As(ScalarType other) => new(other, bytes, Sequential, Open);
}

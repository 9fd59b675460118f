using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>The elements of which a file's tensors are views. Only the unpickler uses storages; its results are tensors.</summary>
/// <param name="type">Type of the elements.</param>
/// <param name="bytes">Bytes of all elements.</param>
/// <param name="sequential">True if all bytes before an element must be read to reach it.</param>
/// <param name="open">Opens a number of bytes from an offset.</param>
internal sealed class PickledStorage(ScalarType type, long bytes, bool sequential, Func<long, long, Stream> open) : PickledValue
{
    public ScalarType Type { get; } = type;

    public long Count { get; } = bytes / SafeTensorsType.BytesOf(type);

    public bool Sequential { get; } = sequential;

    public Func<long, long, Stream> Open { get; } = open;

    /// <summary>A storage of the same bytes with another element type.</summary>
    public PickledStorage As(ScalarType other) => new(other, bytes, Sequential, Open);
}

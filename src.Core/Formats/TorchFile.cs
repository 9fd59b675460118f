using System.IO.MemoryMappedFiles;
using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>One of the formats of <c>torch.save</c>: a pickle, and the bytes of which its tensors are views.</summary>
/// <param name="path">Path of the file, for messages of later reads.</param>
/// <param name="file">The whole file, which this object owns.</param>
/// <param name="length">Length of the file in bytes.</param>
internal abstract class TorchFile(string path, MemoryMappedFile file, long length) : IDisposable
{
    protected const int LargestPickle = 1 << 26;

    // Normal files store each element once and use it once or a few times. Files that expand to more, by views that repeat elements,
    // overlapping storages or compression, are refused before memory is allocated.
    private long bytesLeft = 16 * length + (1 << 24);

    /// <summary>The saved value.</summary>
    public abstract PickledValue Root { get; }

    protected MemoryMappedFile Mapped => file;

    protected void Spend(long bytes)
    {
        if (bytes > bytesLeft)
            throw new WeightsException("expected tensors of a size that the file could hold, found many times more");
        bytesLeft -= bytes;
    }

    protected void Spend(PickledTensor tensor) => Spend(tensor.Cost);

    /// <summary>A storage's persistent id: ('storage', type, key, device, number of elements), and in the old format a view.</summary>
    protected static (ScalarType Type, string Key, long Bytes) StorageId(PickledValue id)
    {
        if (
            id
                is not PickledSequence
                {
                    Items: [PickledText { Value: "storage" }, PickledGlobal type, PickledText key, _, PickledInteger count, ..] items
                }
            || count.Value < 0
            || count.Value > long.MaxValue / 8
        )
            throw new WeightsException("expected storages in the pickle as torch.save names them");
        if (items.Skip(5).Any(value => value is not PickledNone))
            throw new WeightsException("expected storages of their own, found one that is a view of another; save clones of the tensors");
        var element = ElementType(type);
        return (element, key.Value, (long)count.Value * SafeTensorsType.BytesOf(element));
    }

    /// <summary>Opens the bytes of a tensor, and adds the file's name to errors.</summary>
    protected Stream Named(Func<Stream> open)
    {
        try
        {
            return open();
        }
        catch (WeightsException error)
        {
            throw new WeightsException($"{path}: {error.Message}", error);
        }
    }

    private static ScalarType ElementType(PickledGlobal storage) =>
        storage.Name switch
        {
            "torch.DoubleStorage" => ScalarType.Float64,
            "torch.FloatStorage" => ScalarType.Float32,
            "torch.HalfStorage" => ScalarType.Float16,
            "torch.BFloat16Storage" => ScalarType.BFloat16,
            "torch.LongStorage" => ScalarType.Int64,
            "torch.IntStorage" => ScalarType.Int32,
            "torch.ShortStorage" => ScalarType.Int16,
            "torch.CharStorage" => ScalarType.Int8,
            "torch.ByteStorage" or "torch.UntypedStorage" or "torch._UntypedStorage" or "torch.storage.UntypedStorage" => ScalarType.Byte,
            "torch.BoolStorage" => ScalarType.Bool,
            _ => throw PickleCalls.Refused(storage),
        };

    public virtual void Dispose() => file.Dispose();
}

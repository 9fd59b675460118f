using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;

namespace DQ.Core.Formats;

/// <summary>
/// The format before PyTorch 1.6, in which torchvision's VGG-16 is still distributed. It has a pickle for each of these: a magic number, a
/// version, a description of the machine, the value, and the storages' keys. Then follows each storage, as its number of elements and their
/// bytes.
/// </summary>
/// <remarks>Source: <c>_legacy_save</c> in PyTorch's <c>torch/serialization.py</c>.</remarks>
internal sealed class LegacyTorchFile : TorchFile
{
    /// <summary>The beginning of such a file: a pickle of protocol 2 with an integer of ten bytes, the magic number.</summary>
    public static ReadOnlySpan<byte> Start => [0x80, 2, 0x8a, 10];

    private const int Version = 1001;
    private const int CountBytes = 8;

    private static readonly System.Numerics.BigInteger Magic = System.Numerics.BigInteger.Parse("119547037146038801333356");

    private sealed record Place(long Bytes, int ElementBytes)
    {
        /// <summary>Offset of its bytes; −1 before the storages have been found.</summary>
        public long Offset { get; set; } = -1;
    }

    private readonly Dictionary<string, Place> places = new(StringComparer.Ordinal);
    private readonly byte[] head;
    private int position;

    /// <exception cref="WeightsException">The file is damaged; the message lacks the file's name.</exception>
    public LegacyTorchFile(string path, MemoryMappedFile file, long length)
        : base(path, file, length)
    {
        head = new byte[Math.Min(length, LargestPickle)];
        using (var stream = Part(0, head.Length))
            stream.ReadExactly(head);
        if (Next() is not PickledInteger magic || magic.Value != Magic || Next() is not PickledInteger version || version.Value != Version)
            throw new WeightsException($"expected the old form of torch.save, version {Version}");
        if (
            Next() is not PickledDictionary machine
            || !machine.TryGetValue("little_endian", out var order)
            || order is not PickledBoolean { Value: true }
        )
            throw new WeightsException("expected little-endian storages; save it on a little-endian machine");
        Root = Next();
        if (Next() is not PickledSequence keys)
            throw new WeightsException("expected the keys of the storages after the value");
        Locate(keys.Items, length);
        head = []; // the storages are read from the file
    }

    public override PickledValue Root { get; }

    private PickledValue Next()
    {
        var machine = new PickleMachine(head.AsMemory(position), Storage, Spend);
        var value = machine.Run();
        position += machine.Consumed;
        return value;
    }

    private PickledStorage Storage(PickledValue id)
    {
        var (type, key, bytes) = StorageId(id);
        if (!places.TryGetValue(key, out var place))
        {
            places[key] = place = new(bytes, SafeTensorsType.BytesOf(type));
            Spend(bytes);
        }
        if (place.Bytes != bytes)
            throw new WeightsException(
                $"expected one size of storage {WeightsException.Quote(key)}, found {place.Bytes} and {bytes} bytes"
            );
        return new(type, bytes, sequential: false, (start, count) => Named(() => Part(place.Offset + start, count)));
    }

    /// Finds the storages one after the other, in the order of their keys.
    private void Locate(IReadOnlyList<PickledValue> keys, long length)
    {
        long at = position;
        Span<byte> stored = stackalloc byte[CountBytes];
        foreach (var key in keys)
        {
            if (key is not PickledText { Value: var name } || !places.TryGetValue(name, out var place) || place.Offset >= 0)
                throw new WeightsException("expected each storage of the value once among those that follow it");
            if (length - at < CountBytes || length - at - CountBytes < place.Bytes)
                throw new WeightsException(
                    $"expected the {place.Bytes} bytes of storage {WeightsException.Quote(name)}, the file ends before"
                );
            using (var stream = Part(at, CountBytes))
                stream.ReadExactly(stored);
            var count = BinaryPrimitives.ReadInt64LittleEndian(stored);
            if (count != place.Bytes / place.ElementBytes)
                throw new WeightsException(
                    $"expected {place.Bytes / place.ElementBytes} elements in storage {WeightsException.Quote(name)}, found {count}"
                );
            place.Offset = at + CountBytes;
            at += CountBytes + place.Bytes;
        }
        if (places.FirstOrDefault(place => place.Value.Offset < 0).Key is { } missing)
            throw new WeightsException($"expected storage {WeightsException.Quote(missing)} in the file, found none of that key");
    }

    // a mapped view of 0 bytes would be a view of the whole file
    private Stream Part(long start, long count) =>
        count > 0 ? Mapped.CreateViewStream(start, count, MemoryMappedFileAccess.Read) : Stream.Null;
}

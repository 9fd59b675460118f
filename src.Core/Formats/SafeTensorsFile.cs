using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>A tensor as an array.</summary>
/// <param name="Shape">Sizes; the first axis varies slowest.</param>
/// <param name="Values">Values in row-major order.</param>
public sealed record StoredArray<T>(long[] Shape, T[] Values)
    where T : unmanaged;

/// <summary>
/// A safetensors file, memory-mapped: opening reads only the header, and each tensor is copied on request. Opening a file and reading
/// arrays do not need libtorch.
/// </summary>
/// <remarks>Source: https://huggingface.co/docs/safetensors. Byte order is little-endian, as the format requires.</remarks>
public sealed class SafeTensorsFile : IDisposable
{
    /// <summary>Metadata key of the SHA-256 that <see cref="WriteChecked"/> stores. It covers the whole file, with zeros in its own
    /// place.</summary>
    public const string ChecksumKey = "sha256";

    private const int LengthBytes = 8;

    private static readonly string NoChecksum = new('0', 2 * SHA256.HashSizeInBytes);

    private readonly MemoryMappedFile file;
    private readonly Dictionary<string, SafeTensorsPlace> places;
    private readonly string path;
    private readonly long dataStart;
    private readonly long length;

    private SafeTensorsFile(string path, MemoryMappedFile file, SafeTensorsHeader header, long dataStart, long length)
    {
        this.path = path;
        this.file = file;
        this.dataStart = dataStart;
        this.length = length;
        places = header.Places.ToDictionary(place => place.Entry.Name, StringComparer.Ordinal);
        Metadata = header.Metadata;
        Entries = [.. header.Places.Select(place => place.Entry)];
    }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The tensors in the header's order.</summary>
    public IReadOnlyList<SafeTensorsEntry> Entries { get; }

    public bool Contains(string name) => places.ContainsKey(name);

    /// <summary>Reads and checks the header.</summary>
    /// <exception cref="WeightsException">The file cannot be read or is not a well-formed safetensors file.</exception>
    public static SafeTensorsFile Open(string path)
    {
        FileStream? stream = null;
        try
        {
            stream = RegularFile.OpenRead(path);
            var header = ReadHeader(stream, out var dataStart);
            var length = stream.Length;
            var mapped = MemoryMappedFile.CreateFromFile(
                stream,
                null,
                0,
                MemoryMappedFileAccess.Read,
                HandleInheritability.None,
                leaveOpen: false
            );
            stream = null; // owned by the mapping from here on
            return new(path, mapped, header, dataStart, length);
        }
        catch (WeightsException error)
        {
            throw new WeightsException($"{path}: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new WeightsException($"{path}: expected a readable safetensors file: {error.Message}", error);
        }
        finally
        {
            stream?.Dispose();
        }
    }

    private static SafeTensorsHeader ReadHeader(FileStream stream, out long dataStart)
    {
        var rest = stream.Length - LengthBytes;
        if (rest < 2)
            throw new WeightsException($"expected a safetensors file of at least 10 bytes, found {stream.Length}");
        Span<byte> length = stackalloc byte[LengthBytes];
        stream.ReadExactly(length);
        var headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(length);
        if (headerBytes < 2 || headerBytes > (ulong)Math.Min(rest, SafeTensorsHeader.MaximumBytes))
            throw new WeightsException(
                $"expected a safetensors header of 2 to {Math.Min(rest, SafeTensorsHeader.MaximumBytes)} bytes, got {headerBytes}"
            );
        var json = new byte[headerBytes];
        stream.ReadExactly(json);
        dataStart = LengthBytes + json.Length;
        return SafeTensorsHeader.Parse(json, stream.Length - dataStart);
    }

    /// <summary>Whether the file agrees with its checksum; true if it has none. This reads the whole file.</summary>
    public bool IsIntact()
    {
        if (!Metadata.TryGetValue(ChecksumKey, out var expected))
            return true;
        using var whole = file.CreateViewStream(0, length, MemoryMappedFileAccess.Read);
        var head = new byte[dataStart];
        whole.ReadExactly(head);
        var at = ChecksumPlace(head, expected);
        if (at < 0)
            return false;
        head.AsSpan(at, expected.Length).Fill((byte)'0');
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(head);
        var buffer = new byte[1 << 20];
        for (int read; (read = whole.Read(buffer, 0, buffer.Length)) > 0; )
            hash.AppendData(buffer, 0, read);
        return Convert.ToHexStringLower(hash.GetHashAndReset()) == expected;
    }

    private static int ChecksumPlace(ReadOnlySpan<byte> head, string checksum)
    {
        var before = $"\"{ChecksumKey}\":\"";
        var at = head.IndexOf(Encoding.UTF8.GetBytes($"{before}{checksum}\""));
        return at < 0 ? -1 : at + before.Length;
    }

    /// <summary>A fresh CPU tensor, owned by the caller.</summary>
    /// <exception cref="WeightsException">No tensor of that name.</exception>
    public Tensor Read(string name)
    {
        var place = Find(name);
        using var bytes = Bytes(place);
        return TensorBytes.Read(bytes, place.Entry.Type, place.Entry.Shape);
    }

    /// <summary>A tensor's elements in row-major order, read without libtorch.</summary>
    /// <typeparam name="T">The stored type: double (F64), float (F32), long (I64), int (I32) or byte (U8).</typeparam>
    /// <exception cref="WeightsException">There is no tensor of that name, it has other elements, or it is too large for an
    /// array.</exception>
    public StoredArray<T> ReadArray<T>(string name)
        where T : unmanaged
    {
        var place = Find(name);
        var (type, shape) = (place.Entry.Type, place.Entry.Shape);
        if (SafeTensorsType.ClrTypeOf(type) != typeof(T))
            throw new WeightsException(
                $"{path}: {WeightsException.Quote(name)}: expected elements of type {typeof(T).Name}, found {SafeTensorsType.NameOf(type)}"
            );
        var count = (place.End - place.Begin) / SafeTensorsType.BytesOf(type);
        if (count * SafeTensorsType.BytesOf(type) > Array.MaxLength)
            throw new WeightsException($"{path}: {WeightsException.Quote(name)}: expected at most {Array.MaxLength} bytes, found more");
        var values = new T[count];
        using var bytes = Bytes(place);
        bytes.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return new(shape, values);
    }

    private SafeTensorsPlace Find(string name) =>
        places.TryGetValue(name, out var place)
            ? place
            : throw new WeightsException($"{path}: expected a tensor {WeightsException.Quote(name)}, found none of that name");

    // a mapped view of 0 bytes would be a view of the whole file
    private Stream Bytes(SafeTensorsPlace place) =>
        place.End > place.Begin
            ? file.CreateViewStream(dataStart + place.Begin, place.End - place.Begin, MemoryMappedFileAccess.Read)
            : Stream.Null;

    /// <summary>
    /// Writes the tensors in the given order, one at a time. Only those that are not contiguous on the CPU are copied. The file is written
    /// completely or not at all.
    /// </summary>
    /// <remarks>
    /// The header keeps the given order. In the data, tensors with wider elements come first (and in the given order for equal widths). So
    /// every tensor begins at a multiple of its element's size, which is useful for readers that map the file.
    /// </remarks>
    /// <param name="path">An existing file is replaced.</param>
    /// <param name="tensors">Tensors on any device, with any strides.</param>
    /// <param name="metadata">Metadata, which is written in the order of its keys.</param>
    /// <exception cref="ArgumentException">A name occurs twice, is <c>__metadata__</c>, or the format lacks the element type.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void Write(
        string path,
        IEnumerable<KeyValuePair<string, Tensor>> tensors,
        IReadOnlyDictionary<string, string>? metadata = null
    )
    {
        var (header, stored) = Arrange(tensors, metadata ?? new Dictionary<string, string>());
        AtomicFile.Write(path, file => WriteContent(file, header, stored));
    }

    /// <summary>Writes tensors with a checksum in the metadata; see <see cref="IsIntact"/>.</summary>
    public static void WriteChecked(
        string path,
        IEnumerable<KeyValuePair<string, Tensor>> tensors,
        IReadOnlyDictionary<string, string> metadata
    )
    {
        var (header, stored) = Arrange(tensors, new Dictionary<string, string>(metadata) { [ChecksumKey] = NoChecksum });
        AtomicFile.Write(
            path,
            file =>
            {
                using var hash = SHA256.Create();
                using (var hashed = new CryptoStream(file, hash, CryptoStreamMode.Write, leaveOpen: true))
                    WriteContent(hashed, header, stored);
                file.Position = LengthBytes + ChecksumPlace(header, NoChecksum);
                file.Write(Encoding.ASCII.GetBytes(Convert.ToHexStringLower(hash.Hash!)));
            }
        );
    }

    private static (byte[] Header, List<KeyValuePair<string, Tensor>> Stored) Arrange(
        IEnumerable<KeyValuePair<string, Tensor>> tensors,
        IReadOnlyDictionary<string, string> metadata
    )
    {
        var inOrder = tensors.ToList();
        var stored = inOrder.OrderByDescending(tensor => SafeTensorsType.BytesOf(tensor.Value.dtype)).ToList();
        var begins = new Dictionary<string, long>(StringComparer.Ordinal);
        var offset = 0L;
        foreach (var (name, tensor) in stored)
        {
            if (name == SafeTensorsHeader.MetadataKey || !begins.TryAdd(name, offset))
                throw new ArgumentException(
                    $"expected tensor names used once and other than {SafeTensorsHeader.MetadataKey}, got '{name}'"
                );
            offset += tensor.NumberOfElements * SafeTensorsType.BytesOf(tensor.dtype);
        }
        var places = inOrder.Select(tensor => Place(tensor.Key, tensor.Value, begins[tensor.Key])).ToList();
        return (new SafeTensorsHeader(metadata, places).ToJson(), stored);
    }

    private static void WriteContent(Stream file, byte[] header, IEnumerable<KeyValuePair<string, Tensor>> stored)
    {
        Span<byte> length = stackalloc byte[LengthBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        file.Write(length);
        file.Write(header);
        foreach (var (_, tensor) in stored)
            WriteBytes(file, tensor);
    }

    /// <summary>Writes arrays of numbers, of any rank, as tensors of their shape; see <see cref="Write"/>.</summary>
    public static void WriteArrays(string path, IEnumerable<KeyValuePair<string, Array>> arrays)
    {
        using var scope = NewDisposeScope();
        Write(path, [.. arrays.Select(array => KeyValuePair.Create(array.Key, from_array(array.Value)))]);
    }

    private static SafeTensorsPlace Place(string name, Tensor tensor, long begin) =>
        new(new(name, tensor.dtype, tensor.shape), begin, begin + tensor.NumberOfElements * SafeTensorsType.BytesOf(tensor.dtype));

    private static void WriteBytes(Stream file, Tensor tensor)
    {
        using var scope = NewDisposeScope();
        tensor.detach().cpu().contiguous().WriteBytesToStream(file, TensorBytes.CopyBytes);
    }

    public void Dispose() => file.Dispose();
}

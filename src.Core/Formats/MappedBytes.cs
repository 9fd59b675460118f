using System.Buffers;
using System.IO.MemoryMappedFiles;

namespace DQ.Core.Formats;

/// <summary>A file's bytes as mapped memory, which is read from the disk on access.</summary>
internal sealed unsafe class MappedBytes : MemoryManager<byte>
{
    private readonly MemoryMappedFile file;
    private readonly MemoryMappedViewAccessor view;
    private readonly byte* first;
    private readonly int length;

    /// <exception cref="InvalidDataException">The file is empty, or too large for one block of memory.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    public MappedBytes(string path)
    {
        var bytes = new FileInfo(path).Length;
        if (bytes is 0 or > int.MaxValue)
            throw new InvalidDataException($"{path}: expected 1 to {int.MaxValue} bytes, found {bytes}");
        length = (int)bytes;
        file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        view = file.CreateViewAccessor(0, bytes, MemoryMappedFileAccess.Read);
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref first);
        first += view.PointerOffset;
    }

    public override Span<byte> GetSpan() => new(first, length);

    public override MemoryHandle Pin(int elementIndex = 0) => new(first + elementIndex);

    public override void Unpin() { }

    protected override void Dispose(bool disposing)
    {
        if (!disposing)
            return;
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        view.Dispose();
        file.Dispose();
    }
}

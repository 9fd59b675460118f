using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace DQ.Core.Images;

/// <summary>
/// Images as one raw file of bytes (N, C, H, W), planar, memory-mapped: opening takes no time, and the system's page cache keeps the used
/// parts. Safe to read from several threads.
/// </summary>
public sealed unsafe class PackedImages : IDisposable
{
    // An empty file can't be mapped: a split without images has neither mapping nor view.
    private readonly MemoryMappedFile? _file;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly SafeMemoryMappedViewHandle? _handle;
    private readonly byte* _first;
    private bool _disposed;

    private PackedImages(string file, int count, int channels, int height, int width)
    {
        (Count, Channels, Height, Width) = (count, channels, height, width);
        if (count == 0)
            return;
        _file = MemoryMappedFile.CreateFromFile(file, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        _view = _file.CreateViewAccessor(0, (long)count * ImageBytes, MemoryMappedFileAccess.Read);
        _handle = _view.SafeMemoryMappedViewHandle;
        _handle.AcquirePointer(ref _first);
        _first += _view.PointerOffset;
    }

    public int Count { get; }

    public int Channels { get; }

    public int Height { get; }

    public int Width { get; }

    /// <summary>Bytes of one image: C·H·W.</summary>
    public int ImageBytes => Channels * Height * Width;

    /// <summary>Maps <paramref name="file"/>.</summary>
    /// <exception cref="InvalidDataException">The file's length does not fit the given shape; the message has both.</exception>
    /// <exception cref="IOException">The file can't be opened.</exception>
    public static PackedImages Open(string file, int count, int channels, int height, int width)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(channels);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        var actual = new FileInfo(file).Length;
        var expected = (long)count * channels * height * width;
        if (actual != expected)
            throw new InvalidDataException(
                $"{file}: expected {expected} bytes for {count} images of {channels}×{height}×{width}, got {actual}"
            );
        return new PackedImages(file, count, channels, height, width);
    }

    /// <summary>The bytes (C, H, W) of one image, without a copy. They must not be used after <see cref="Dispose"/>.</summary>
    public ReadOnlySpan<byte> this[int index]
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if ((uint)index >= (uint)Count)
                throw new ArgumentOutOfRangeException(nameof(index), index, $"expected an index below {Count}");
            return new ReadOnlySpan<byte>(_first + (long)index * ImageBytes, ImageBytes);
        }
    }

    /// <summary>Calls <paramref name="copy"/> for each chosen image, with its bytes and its place in a new batch.</summary>
    /// <returns>uint8 (B, C, H, W); the caller disposes it.</returns>
    /// <exception cref="ObjectDisposedException">The images are closed.</exception>
    public Tensor Gather(ReadOnlySpan<int> indices, CopyImage? copy = null)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var held = false;
        try
        {
            // kept open during the read, so that another thread can't unmap the file during the copy
            _handle?.DangerousAddRef(ref held);
            var batch = empty([indices.Length, Channels, Height, Width], dtype: ScalarType.Byte);
            var bytes = batch.bytes;
            for (var i = 0; i < indices.Length; i++)
            {
                var target = bytes.Slice(i * ImageBytes, ImageBytes);
                if (copy is null)
                    this[indices[i]].CopyTo(target);
                else
                    copy(i, this[indices[i]], target);
            }

            return batch;
        }
        finally
        {
            if (held)
                _handle!.DangerousRelease();
        }
    }

    /// <summary>
    /// Batches (B, C, H, W) uint8 in file order, for evaluation. The last may be smaller. The caller disposes them.
    /// </summary>
    /// <param name="batchSize">Images per batch.</param>
    /// <param name="limit">Maximum number of images, the first ones; 0 takes all.</param>
    public IEnumerable<Tensor> Batches(int batchSize, int limit = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        ArgumentOutOfRangeException.ThrowIfNegative(limit);
        return Enumerate(limit == 0 ? Count : Math.Min(limit, Count));

        IEnumerable<Tensor> Enumerate(int end)
        {
            for (var first = 0; first < end; first += batchSize)
                yield return Gather(Enumerable.Range(first, Math.Min(batchSize, end - first)).ToArray());
        }
    }

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _handle?.ReleasePointer();
        _view?.Dispose();
        _file?.Dispose();
    }
}

/// <summary>Copies one image (C, H, W) to <paramref name="place"/> of a batch, and may change it.</summary>
public delegate void CopyImage(int place, ReadOnlySpan<byte> source, Span<byte> target);

using System.IO.MemoryMappedFiles;
using System.Text;

namespace DQ.Core.Formats;

/// <summary>The format of PyTorch 1.6 and later: a zip archive with a pickle and one file per storage.</summary>
internal sealed class ZipTorchFile : TorchFile
{
    private readonly ZipDirectory zip;
    private readonly string folder;
    private readonly HashSet<string> storages = [];

    /// <exception cref="WeightsException">The file is damaged; the message lacks the file's name.</exception>
    public ZipTorchFile(string path, MemoryMappedFile file, long length)
        : base(path, file, length)
    {
        zip = new ZipDirectory(file, length).Sound();
        folder = FindFolder();
        CheckByteOrder();
        Root = new PickleMachine(ReadAll(zip.Find($"{folder}data.pkl")!, LargestPickle), Storage, Spend).Run();
    }

    public override PickledValue Root { get; }

    public override void Dispose() => zip.Dispose(); // with the file

    private string FindFolder()
    {
        var pickles = zip.Entries.Where(entry => entry.Name.EndsWith("/data.pkl", StringComparison.Ordinal)).ToList();
        if (pickles is not [var pickle])
            throw new WeightsException($"expected one data.pkl in the archive, found {pickles.Count}");
        var prefix = pickle.Name[..^"data.pkl".Length];
        return zip.Find($"{prefix}constants.pkl") is null
            ? prefix
            : throw new WeightsException("expected weights, found a TorchScript program; save its state_dict() with torch.save");
    }

    private void CheckByteOrder()
    {
        if (zip.Find($"{folder}byteorder") is { } entry && Encoding.ASCII.GetString(ReadAll(entry, 16)) is var order && order != "little")
            throw new WeightsException(
                $"expected little-endian storages, found {WeightsException.Quote(order)}; save it on a little-endian machine"
            );
    }

    private byte[] ReadAll(ZipFileEntry entry, int most)
    {
        if (entry.Bytes > most)
            throw new WeightsException($"expected at most {most} bytes in {WeightsException.Quote(entry.Name)}, found {entry.Bytes}");
        Spend(entry.Bytes);
        using var stream = zip.Open(entry, 0, entry.Bytes);
        var bytes = new byte[entry.Bytes];
        stream.ReadExactly(bytes);
        return bytes;
    }

    private PickledStorage Storage(PickledValue id)
    {
        var (type, key, bytes) = StorageId(id);
        var entry =
            zip.Find($"{folder}data/{key}")
            ?? throw new WeightsException($"expected the storage {WeightsException.Quote($"{folder}data/{key}")} in the archive");
        if (bytes != entry.Bytes)
            throw new WeightsException($"expected {bytes} bytes in {WeightsException.Quote(entry.Name)}, found {entry.Bytes}");
        if (storages.Add(entry.Name))
            Spend(entry.Bytes);
        return new(type, entry.Bytes, entry.Compressed, (start, count) => Named(() => zip.Open(entry, start, count)));
    }
}

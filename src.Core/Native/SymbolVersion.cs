using System.Buffers.Binary;
using System.Text;

namespace DQ.Core.Native;

/// <summary>
/// Marks one symbol-version requirement of an ELF shared library as weak, so that the dynamic loader continues if the system's library
/// lacks that version.
/// </summary>
/// <remarks>
/// Source: the gABI symbol-versioning extension (Linux Standard Base core, "Symbol Versioning"): section
/// <c>.gnu.version_r</c> holds <c>Verneed</c> entries, each heading a chain of 16-byte <c>Vernaux</c> entries
/// (hash, flags, other, name, next); <c>VER_FLG_WEAK</c> is 0x2.
/// </remarks>
public static class SymbolVersion
{
    private const ushort WeakFlag = 0x2;
    private const uint VersionNeedSection = 0x6ffffffe; // SHT_GNU_verneed

    /// <summary>Returns a copy of <paramref name="library"/> in which <paramref name="version"/> is weakly required.</summary>
    /// <param name="library">The bytes of a little-endian 64-bit ELF shared library.</param>
    /// <param name="version">Name of the version, such as <c>GLIBCXX_3.4.32</c>.</param>
    /// <exception cref="InvalidDataException">Not such a file, or the version is not required in it exactly once.</exception>
    public static byte[] MakeWeak(ReadOnlySpan<byte> library, string version)
    {
        if (library.Length < 64 || !library[..6].SequenceEqual("\u007fELF\u0002\u0001"u8))
            throw new InvalidDataException("expected a little-endian 64-bit ELF library");
        var copy = library.ToArray();
        var sectionTable = (int)BinaryPrimitives.ReadInt64LittleEndian(library[0x28..]);
        var sectionSize = BinaryPrimitives.ReadUInt16LittleEndian(library[0x3a..]);
        var sectionCount = BinaryPrimitives.ReadUInt16LittleEndian(library[0x3c..]);
        var marked = 0;
        for (var index = 0; index < sectionCount; index++)
        {
            var section = library.Slice(sectionTable + index * sectionSize, sectionSize);
            if (BinaryPrimitives.ReadUInt32LittleEndian(section[4..]) != VersionNeedSection)
                continue;
            var offset = (int)BinaryPrimitives.ReadInt64LittleEndian(section[0x18..]);
            var linked = (int)BinaryPrimitives.ReadUInt32LittleEndian(section[0x28..]);
            var strings = (int)BinaryPrimitives.ReadInt64LittleEndian(library[(sectionTable + linked * sectionSize + 0x18)..]);
            marked += MarkChain(copy, offset, strings, version);
        }
        return marked == 1 ? copy : throw new InvalidDataException($"expected one requirement of {version}, found {marked}");
    }

    private static int MarkChain(byte[] library, int need, int strings, string version)
    {
        var marked = 0;
        while (true)
        {
            var count = BinaryPrimitives.ReadUInt16LittleEndian(library.AsSpan(need + 2));
            var entry = need + (int)BinaryPrimitives.ReadUInt32LittleEndian(library.AsSpan(need + 8));
            for (var index = 0; index < count; index++)
            {
                var name = strings + (int)BinaryPrimitives.ReadUInt32LittleEndian(library.AsSpan(entry + 8));
                var length = library.AsSpan(name).IndexOf((byte)0);
                if (Encoding.ASCII.GetString(library, name, length) == version)
                {
                    var flags = BinaryPrimitives.ReadUInt16LittleEndian(library.AsSpan(entry + 4));
                    BinaryPrimitives.WriteUInt16LittleEndian(library.AsSpan(entry + 4), (ushort)(flags | WeakFlag));
                    marked++;
                }
                entry += (int)BinaryPrimitives.ReadUInt32LittleEndian(library.AsSpan(entry + 12));
            }
            var next = (int)BinaryPrimitives.ReadUInt32LittleEndian(library.AsSpan(need + 12));
            if (next == 0)
                return marked;
            need += next;
        }
    }
}

using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace DQ.Core.Formats;

/// <summary>The header of a <c>.npy</c> file, which describes the bytes after it.</summary>
/// <param name="ElementType">Kind and size in bytes of an element, such as <c>u1</c> or <c>i8</c>.</param>
/// <param name="IsBigEndian">Byte order of elements of several bytes.</param>
/// <param name="Shape">Shape; the last axis varies fastest.</param>
/// <param name="DataOffset">Bytes before the first element.</param>
/// <remarks>Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1 to 3.</remarks>
internal sealed partial record NpyHeader(string ElementType, bool IsBigEndian, IReadOnlyList<long> Shape, int DataOffset)
{
    private const int LongestText = 1 << 16;

    private static readonly byte[] Magic = [0x93, .. "NUMPY"u8];

    /// <exception cref="WeightsException">Not the header of an array of numbers whose last axis varies fastest; the message lacks the
    /// file's name.</exception>
    public static NpyHeader Read(Stream file)
    {
        var start = new byte[Magic.Length + 2]; // and the version
        file.ReadExactly(start);
        if (!start.AsSpan(0, Magic.Length).SequenceEqual(Magic) || start[6] is < 1 or > 3)
            throw new WeightsException("expected a .npy array of version 1 to 3");
        var length = new byte[start[6] == 1 ? 2 : 4];
        file.ReadExactly(length);
        var textBytes = length.Reverse().Aggregate(0L, (sum, digit) => (sum << 8) | digit);
        if (textBytes > LongestText)
            throw new WeightsException($"expected a .npy header of at most {LongestText} bytes, got {textBytes}");
        var text = new byte[textBytes];
        file.ReadExactly(text);
        return Parse(Encoding.UTF8.GetString(text), start.Length + length.Length + text.Length);
    }

    /// <summary>Reads integers of any width; an incomplete last element is left out.</summary>
    /// <exception cref="WeightsException">The elements are not integers.</exception>
    public static long[] Integers(string type, bool isBigEndian, ReadOnlySpan<byte> bytes)
    {
        if (type[0] is not ('i' or 'u'))
            throw new WeightsException($"expected labels that are integers, found {type}");
        var width = type[1] - '0';
        var numbers = new long[bytes.Length / width];
        Span<byte> wide = stackalloc byte[sizeof(long)];
        for (var index = 0; index < numbers.Length; index++)
        {
            wide.Clear();
            var element = wide[..width];
            bytes.Slice(index * width, width).CopyTo(element);
            if (isBigEndian)
                element.Reverse();
            // the sign of a signed element fills the bytes above it
            if (type[0] == 'i' && element[^1] >= 0x80)
                wide[width..].Fill(0xff);
            numbers[index] = BinaryPrimitives.ReadInt64LittleEndian(wide);
        }
        return numbers;
    }

    private static NpyHeader Parse(string text, int dataOffset)
    {
        var match = Dictionary().Match(text);
        if (!match.Success)
            throw new WeightsException($"expected an array of numbers, last axis fastest, found {WeightsException.Quote(text.Trim())}");
        var sizes = match.Groups["shape"].Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return new(
            match.Groups["type"].Value,
            match.Groups["order"].Value == ">",
            [.. sizes.Select(size => (long)int.Parse(size, CultureInfo.InvariantCulture))],
            dataOffset
        );
    }

    /// numpy writes its three keys in alphabetical order
    [GeneratedRegex(
        @"^\{'descr': '(?<order>[<>|=]?)(?<type>[biuf][1248])', 'fortran_order': False, 'shape': \((?<shape>(\d{1,9}, ?)*(\d{1,9})?)\), ?\}\s*$"
    )]
    private static partial Regex Dictionary();
}

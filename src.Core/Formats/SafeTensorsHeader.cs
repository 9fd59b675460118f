using System.Buffers;
using System.Globalization;
using System.Text.Json;
using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>One tensor of a safetensors file.</summary>
public sealed record SafeTensorsEntry(string Name, ScalarType Type, long[] Shape);

/// <summary>The range of a tensor's bytes: <paramref name="Begin"/> to <paramref name="End"/>, counted from the end of the
/// header.</summary>
internal readonly record struct SafeTensorsPlace(SafeTensorsEntry Entry, long Begin, long End);

/// <summary>
/// The JSON header of a safetensors file, checked as the format requires: names are unique, and the tensors' byte ranges
/// cover the data without holes or overlaps.
/// </summary>
/// <remarks>
/// Source: the format's description at https://huggingface.co/docs/safetensors. Read with <see cref="Utf8JsonReader"/>
/// because <see cref="JsonDocument"/> would silently keep the last of two equal names.
/// </remarks>
internal sealed record SafeTensorsHeader(IReadOnlyDictionary<string, string> Metadata, IReadOnlyList<SafeTensorsPlace> Places)
{
    /// <summary>Maximum bytes of a header, as in the published reader.</summary>
    public const long MaximumBytes = 100_000_000;

    public const string MetadataKey = "__metadata__";

    public const int MaximumDimensions = 64;
    private const int JsonDepth = 4;

    /// <param name="json">The header's bytes, with padding.</param>
    /// <param name="dataBytes">Bytes that follow the header in the file.</param>
    /// <exception cref="WeightsException">The header is damaged. The message lacks the file's name, which the caller adds.</exception>
    public static SafeTensorsHeader Parse(ReadOnlySpan<byte> json, long dataBytes)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = JsonDepth });
            var header = ReadHeader(ref reader);
            if (reader.Read())
                throw Unexpected("nothing after the header's object", ref reader);
            header.CheckCoverage(dataBytes);
            return header;
        }
        catch (JsonException error)
        {
            throw new WeightsException($"expected a header in JSON: {error.Message}", error);
        }
        catch (InvalidOperationException error)
        {
            // the reader's exception for text that is not Unicode
            throw new WeightsException($"expected a header in UTF-8: {error.Message}", error);
        }
    }

    /// <summary>The header in JSON, padded with spaces to a multiple of 8 bytes.</summary>
    public byte[] ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            if (Metadata.Count > 0)
            {
                writer.WriteStartObject(MetadataKey);
                foreach (var (key, value) in Metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                    writer.WriteString(key, value);
                writer.WriteEndObject();
            }
            foreach (var place in Places)
                WriteTensor(writer, place);
            writer.WriteEndObject();
        }
        var padded = new byte[(buffer.WrittenCount + 7) / 8 * 8];
        padded.AsSpan().Fill((byte)' ');
        buffer.WrittenSpan.CopyTo(padded);
        return padded;
    }

    private static void WriteTensor(Utf8JsonWriter writer, SafeTensorsPlace place)
    {
        writer.WriteStartObject(place.Entry.Name);
        writer.WriteString("dtype", SafeTensorsType.NameOf(place.Entry.Type));
        writer.WriteStartArray("shape");
        foreach (var size in place.Entry.Shape)
            writer.WriteNumberValue(size);
        writer.WriteEndArray();
        writer.WriteStartArray("data_offsets");
        writer.WriteNumberValue(place.Begin);
        writer.WriteNumberValue(place.End);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static SafeTensorsHeader ReadHeader(ref Utf8JsonReader reader)
    {
        Dictionary<string, string>? metadata = null;
        var names = new HashSet<string>(StringComparer.Ordinal);
        var places = new List<SafeTensorsPlace>();
        Expect(ref reader, JsonTokenType.StartObject, "an object");
        while (NextName(ref reader, "the header") is { } name)
        {
            if (!names.Add(name))
                throw new WeightsException($"expected each name once in the header, found {WeightsException.Quote(name)} twice");
            if (name == MetadataKey)
                metadata = ReadMetadata(ref reader);
            else
                places.Add(ReadTensor(ref reader, name));
        }
        return new(metadata ?? [], places);
    }

    private static Dictionary<string, string> ReadMetadata(ref Utf8JsonReader reader)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        Expect(ref reader, JsonTokenType.StartObject, "an object of strings as metadata");
        while (NextName(ref reader, MetadataKey) is { } key)
        {
            Expect(ref reader, JsonTokenType.String, $"a string as metadata {WeightsException.Quote(key)}");
            if (!metadata.TryAdd(key, reader.GetString()!))
                throw new WeightsException($"expected each metadata key once, found {WeightsException.Quote(key)} twice");
        }
        return metadata;
    }

    private static SafeTensorsPlace ReadTensor(ref Utf8JsonReader reader, string name)
    {
        ScalarType? type = null;
        long[]? shape = null;
        long[]? offsets = null;
        Expect(ref reader, JsonTokenType.StartObject, $"an object for tensor {WeightsException.Quote(name)}");
        while (NextName(ref reader, $"tensor {WeightsException.Quote(name)}") is { } key)
        {
            if (key == "dtype" && type is null)
                type = ReadType(ref reader, name);
            else if (key == "shape" && shape is null)
                shape = ReadSizes(ref reader, $"the shape of {WeightsException.Quote(name)}", MaximumDimensions);
            else if (key == "data_offsets" && offsets is null)
                offsets = ReadSizes(ref reader, $"the data_offsets of {WeightsException.Quote(name)}", 2);
            else
                throw new WeightsException(
                    $"tensor {WeightsException.Quote(name)}: expected dtype, shape and data_offsets once each, found {WeightsException.Quote(key)}"
                );
        }
        if (type is null || shape is null || offsets is not [var begin, var end])
            throw new WeightsException($"tensor {WeightsException.Quote(name)}: expected dtype, shape and two data_offsets");
        var expected = ByteLength(name, type.Value, shape);
        if (end < begin || end - begin != expected)
            throw new WeightsException(
                $"tensor {WeightsException.Quote(name)}: expected {expected} bytes for {SafeTensorsType.NameOf(type.Value)} [{string.Join(", ", shape)}], its offsets are {begin} to {end}"
            );
        return new(new(name, type.Value, shape), begin, end);
    }

    private static ScalarType ReadType(ref Utf8JsonReader reader, string name)
    {
        Expect(ref reader, JsonTokenType.String, $"a string as dtype of {WeightsException.Quote(name)}");
        var text = reader.GetString()!;
        return SafeTensorsType.TryParse(text, out var type)
            ? type
            : throw new WeightsException(
                $"tensor {WeightsException.Quote(name)}: expected dtype {SafeTensorsType.Names}, found {WeightsException.Quote(text)}"
            );
    }

    private static long[] ReadSizes(ref Utf8JsonReader reader, string what, int most)
    {
        var sizes = new List<long>();
        Expect(ref reader, JsonTokenType.StartArray, $"a list as {what}");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var size) || size < 0)
                throw Unexpected($"integers from 0 to {long.MaxValue} in {what}", ref reader);
            if (sizes.Count == most)
                throw new WeightsException($"expected at most {most} numbers in {what}");
            sizes.Add(size);
        }
        return [.. sizes];
    }

    private static long ByteLength(string name, ScalarType type, long[] shape)
    {
        try
        {
            // a size of 0 must not hide an overflow, because libtorch multiplies the other sizes to strides
            var bytes = shape.Aggregate((long)SafeTensorsType.BytesOf(type), (product, size) => checked(product * Math.Max(size, 1)));
            return shape.Contains(0) ? 0 : bytes;
        }
        catch (OverflowException error)
        {
            throw new WeightsException(
                $"tensor {WeightsException.Quote(name)}: expected a size below 2^63 bytes, its shape is [{string.Join(", ", shape)}]",
                error
            );
        }
    }

    private void CheckCoverage(long dataBytes)
    {
        var covered = 0L;
        foreach (var (entry, begin, end) in Places.OrderBy(place => place.Begin).ThenBy(place => place.End))
        {
            if (begin != covered)
                throw new WeightsException(
                    $"tensor {WeightsException.Quote(entry.Name)}: expected its data at offset {covered}, where the tensor before it ends, found {begin}"
                );
            covered = end;
        }
        if (covered != dataBytes)
            throw new WeightsException($"expected {covered} bytes of tensor data after the header, found {dataBytes}");
    }

    private static string? NextName(ref Utf8JsonReader reader, string where)
    {
        if (!reader.Read())
            throw new WeightsException($"expected {where} to be complete");
        return reader.TokenType == JsonTokenType.PropertyName ? reader.GetString() : null;
    }

    private static void Expect(ref Utf8JsonReader reader, JsonTokenType token, string what)
    {
        if (!reader.Read() || reader.TokenType != token)
            throw Unexpected(what, ref reader);
    }

    private static WeightsException Unexpected(string what, ref Utf8JsonReader reader) =>
        new(
            string.Create(
                CultureInfo.InvariantCulture,
                $"expected {what} in the header, found {reader.TokenType} at byte {reader.TokenStartIndex}"
            )
        );
}

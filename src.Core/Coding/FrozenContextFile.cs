using System.Buffers.Binary;
using System.IO.Compression;
using DQ.Core.Formats;
using DQ.Core.Likelihoods.Context;

namespace DQ.Core.Coding;

/// <summary>A frozen model as bytes; docs/lossless-format.md describes them.</summary>
public static class FrozenContextFile
{
    /// <summary>Bytes a model may have when unpacked.</summary>
    private const int LargestContent = 256 << 20;

    private const int PreambleBytes = 16;
    private const int SpecBytes = 12;

    private static ReadOnlySpan<byte> Magic => "DQFROZN1"u8;

    /// <summary>Packs a model: magic, length of the content, its CRC, then the content as Brotli.</summary>
    public static byte[] Write(FrozenContext model)
    {
        var content = Content(model);
        using var packed = new MemoryStream();
        Span<byte> preamble = stackalloc byte[PreambleBytes];
        Magic.CopyTo(preamble);
        BinaryPrimitives.WriteInt32LittleEndian(preamble[8..], content.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(preamble[12..], Crc32.Of(content));
        packed.Write(preamble);
        using (var brotli = new BrotliStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
            brotli.Write(content);
        return packed.ToArray();
    }

    /// <exception cref="InvalidDataException">Not a whole frozen model; says what was expected, without a file's name.</exception>
    public static FrozenContext Read(ReadOnlySpan<byte> packed)
    {
        if (!packed.StartsWith(Magic))
            throw new InvalidDataException($"expected a frozen model, which begins with DQFROZN1, got {FileKind.Describe(packed)}");
        if (packed.Length < PreambleBytes)
            throw new InvalidDataException("a frozen model that is cut short");
        var length = BinaryPrimitives.ReadInt32LittleEndian(packed[8..]);
        var content = Unpacked.Brotli(packed[PreambleBytes..], length, LargestContent, "a frozen model");
        if (Crc32.Of(content) != BinaryPrimitives.ReadUInt32LittleEndian(packed[12..]))
            throw new InvalidDataException("a damaged frozen model: its checksum is another");
        return Parse(content);
    }

    /// <summary>The content by which a model is named: shape, then each layer's shift, biases, and the lower and upper bytes of its weights.</summary>
    internal static byte[] Content(FrozenContext model)
    {
        FrozenLayer[] layers = [model.Enter, .. model.Hidden, model.Leave];
        var content = new byte[SpecBytes + layers.Sum(LayerBytes)];
        var rest = content.AsSpan();
        var spec = model.Spec;
        rest[0] = (byte)spec.Channels;
        rest[1] = (byte)spec.Radius;
        rest[2] = (byte)spec.Depth;
        rest[3] = (byte)spec.Mixtures;
        BinaryPrimitives.WriteInt32LittleEndian(rest[4..], spec.Width);
        BinaryPrimitives.WriteInt32LittleEndian(rest[8..], model.Floor);
        rest = rest[SpecBytes..];
        foreach (var layer in layers)
        {
            BinaryPrimitives.WriteInt32LittleEndian(rest, layer.Shift);
            rest = rest[sizeof(int)..];
            foreach (var bias in layer.Bias)
            {
                BinaryPrimitives.WriteInt32LittleEndian(rest, bias);
                rest = rest[sizeof(int)..];
            }
            for (var i = 0; i < layer.Weights.Length; i++)
            {
                rest[i] = (byte)layer.Weights[i];
                rest[layer.Weights.Length + i] = (byte)(layer.Weights[i] >> 8);
            }
            rest = rest[(2 * layer.Weights.Length)..];
        }
        return content;
    }

    private static int LayerBytes(FrozenLayer layer) => sizeof(int) * (1 + layer.Outputs) + 2 * layer.Weights.Length;

    private static FrozenContext Parse(ReadOnlySpan<byte> content)
    {
        if (content.Length < SpecBytes)
            throw new InvalidDataException("a frozen model that is cut short");
        var spec = new ContextSpec
        {
            Channels = content[0],
            Radius = content[1],
            Depth = content[2],
            Mixtures = content[3],
            Width = BinaryPrimitives.ReadInt32LittleEndian(content[4..]),
        };
        var floor = BinaryPrimitives.ReadInt32LittleEndian(content[8..]);
        if (spec.Problems().FirstOrDefault() is { } problem)
            throw new InvalidDataException($"a frozen model's {problem.Key}: {problem.Message}");
        var shapes = new List<(int Inputs, int Outputs)> { (spec.Inputs, spec.Width) };
        shapes.AddRange(Enumerable.Repeat((spec.Width, spec.Width), spec.Depth));
        shapes.Add((spec.Width, spec.Outputs));
        var expected = SpecBytes + shapes.Sum(shape => sizeof(int) * (1L + shape.Outputs) + 2L * shape.Inputs * shape.Outputs);
        if (content.Length != expected)
            throw new InvalidDataException($"a frozen model of its shape: expected {expected} bytes, got {content.Length}");
        var layers = new List<FrozenLayer>();
        content = content[SpecBytes..];
        foreach (var (inputs, outputs) in shapes)
        {
            var bias = new int[outputs];
            for (var i = 0; i < outputs; i++)
                bias[i] = BinaryPrimitives.ReadInt32LittleEndian(content[(sizeof(int) * (1 + i))..]);
            var shift = BinaryPrimitives.ReadInt32LittleEndian(content);
            content = content[(sizeof(int) * (1 + outputs))..];
            var weights = new short[inputs * outputs];
            for (var i = 0; i < weights.Length; i++)
                weights[i] = (short)(content[i] | (content[weights.Length + i] << 8));
            content = content[(2 * weights.Length)..];
            layers.Add(new FrozenLayer(inputs, outputs, weights, bias, shift));
        }
        return new FrozenContext(spec, floor, layers[0], layers[1..^1], layers[^1]);
    }
}

using DQ.Core.Coding;

namespace DQ.Core.Priors;

/// <summary>What is done with each code on a <see cref="PriorWalk"/>.</summary>
internal interface ICodeVisitor
{
    /// <param name="image">Number of the image.</param>
    /// <param name="level">Level.</param>
    /// <param name="codebook">Codebook.</param>
    /// <param name="logits">Of its K codes, given all codes before it.</param>
    /// <param name="bits">Bits behind the point of the logits.</param>
    /// <param name="code">The code if it is known.</param>
    /// <returns>The code.</returns>
    int Visit(int image, int level, int codebook, ReadOnlySpan<int> logits, int bits, int code);
}

/// <summary>Adds up the bits of known codes, per level and codebook.</summary>
internal readonly struct CodeMeasurer(double[][] sums) : ICodeVisitor
{
    private readonly CodeProbabilities probabilities = new();

    public int Visit(int image, int level, int codebook, ReadOnlySpan<int> logits, int bits, int code)
    {
        probabilities.Fill(logits, bits);
        sums[level][codebook] += CodeProbabilities.Bits - Math.Log2(probabilities.Frequencies[code]);
        return code;
    }
}

/// <summary>Codes known codes; they are put into the stream last to first.</summary>
internal readonly struct CodeEncoder() : ICodeVisitor
{
    private readonly CodeProbabilities probabilities = new();
    private readonly List<(uint Start, uint Frequency)> ranges = [];

    public int Visit(int image, int level, int codebook, ReadOnlySpan<int> logits, int bits, int code)
    {
        probabilities.Fill(logits, bits);
        ranges.Add((probabilities.Start(code), probabilities.Frequencies[code]));
        return code;
    }

    public byte[] Finish()
    {
        var stream = new RansEncoder();
        for (var at = ranges.Count - 1; at >= 0; at--)
            stream.Put(ranges[at].Start, ranges[at].Frequency, CodeProbabilities.Bits);
        return stream.Finish();
    }
}

/// <summary>Reads codes from a stream.</summary>
internal ref struct CodeDecoder(RansDecoder stream) : ICodeVisitor
{
    private readonly CodeProbabilities probabilities = new();
    private RansDecoder stream = stream;

    public readonly bool IsAtEnd => stream.IsAtEnd;

    public int Visit(int image, int level, int codebook, ReadOnlySpan<int> logits, int bits, int code)
    {
        probabilities.Fill(logits, bits);
        var (found, start) = probabilities.Find(stream.Slot(CodeProbabilities.Bits));
        stream.Advance(start, probabilities.Frequencies[found], CodeProbabilities.Bits);
        return found;
    }
}

/// <summary>Draws codes. An image's codes depend on the seed and its number alone.</summary>
/// <param name="seed">Seed of all images.</param>
/// <param name="images">Number of images.</param>
/// <param name="temperature">Logits are divided by it.</param>
internal readonly struct CodeSampler(long seed, int images, double temperature) : ICodeVisitor
{
    private const int ScaleBits = 16;

    private readonly CodeProbabilities probabilities = new();
    private readonly SplitMix64[] random = [.. Enumerable.Range(0, images).Select(image => new SplitMix64(seed, image))];
    private readonly long scale = (long)Math.Round((1 << ScaleBits) / temperature);

    public int Visit(int image, int level, int codebook, ReadOnlySpan<int> logits, int bits, int code)
    {
        var largest = long.MinValue;
        foreach (var logit in logits)
            largest = Math.Max(largest, logit);
        // from the largest down, so that none of the likely codes is cut
        var scaled = new int[logits.Length];
        for (var at = 0; at < scaled.Length; at++)
            scaled[at] = (int)Math.Max(((logits[at] - largest) * scale) >> ScaleBits, int.MinValue);
        probabilities.Fill(scaled, bits);
        return probabilities.Find((uint)(random[image].Next() >> (64 - CodeProbabilities.Bits))).Code;
    }
}

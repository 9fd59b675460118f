using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>Counts how often each code of one level was chosen, per codebook (M × K counts), and computes statistics of them.</summary>
public sealed class CodeHistogram(int codebooks, int codeCount)
{
    private readonly long[][] counts = [.. Enumerable.Range(0, codebooks).Select(_ => new long[codeCount])];

    public int Codebooks => codebooks;

    /// <summary>Codes per codebook K.</summary>
    public int CodeCount => codeCount;

    /// <summary>Counts of one codebook (K).</summary>
    public IReadOnlyList<long> Counts(int codebook) => counts[codebook];

    /// <summary>Positions counted per codebook.</summary>
    public long Total(int codebook) => counts[codebook].Sum();

    /// <summary>Sets all counts to 0.</summary>
    public void Clear()
    {
        foreach (var book in counts)
            Array.Clear(book);
    }

    /// <summary>Counts of all codebooks, one after the other (M·K).</summary>
    public IEnumerable<long> AllCounts => counts.SelectMany(book => book);

    /// <summary>Adds code indices (B, M, H, W) int64 to the counts.</summary>
    public void Add(Tensor codes)
    {
        if (codes.dim() != 4 || codes.shape[1] != codebooks)
            throw new ArgumentException($"expected codes (B, {codebooks}, H, W), got ({string.Join(", ", codes.shape)})", nameof(codes));
        using var scope = NewDisposeScope();
        var values = MemoryMarshal.Cast<byte, long>(codes.cpu().contiguous().bytes);
        var positions = (int)(codes.shape[2] * codes.shape[3]);
        for (var at = 0; at < values.Length; at++)
            counts[at / positions % codebooks][values[at]]++;
    }

    /// <summary>Adds counts (M·K), codebook by codebook.</summary>
    public void Add(ReadOnlySpan<double> added)
    {
        for (var at = 0; at < added.Length; at++)
            counts[at / codeCount][at % codeCount] += (long)added[at];
    }

    /// <summary>One bit per code of a codebook, lowest first, padded to whole bytes. The bit is set if no position chose the
    /// code.</summary>
    public byte[] Idle(int codebook)
    {
        var bits = new byte[(codeCount + 7) / 8];
        for (var code = 0; code < codeCount; code++)
            if (counts[codebook][code] == 0)
                bits[code / 8] |= (byte)(1 << (code % 8));
        return bits;
    }

    /// <summary>Codes chosen at least once, as a share of K.</summary>
    public double Usage(int codebook) => (double)counts[codebook].Count(count => count > 0) / codeCount;

    /// <summary>Plug-in entropy in nats (paper, equation 7).</summary>
    public double EntropyNats(int codebook)
    {
        double total = Total(codebook);
        var entropy = 0.0;
        foreach (var count in counts[codebook])
            if (count > 0)
                entropy -= count / total * Math.Log(count / total);
        return entropy;
    }

    /// <summary>exp(entropy), from 1 to K: the number of equally likely codes with the same entropy.</summary>
    public double Perplexity(int codebook) => Math.Exp(EntropyNats(codebook));

    /// <summary>
    /// Bits to code all choices counted in <paramref name="other"/> under this histogram's frequencies, with one count added per code. A
    /// coder with a table fixed beforehand can reach this length.
    /// </summary>
    public double CrossEntropyBits(CodeHistogram other)
    {
        if (other.Codebooks != codebooks || other.CodeCount != codeCount)
            throw new ArgumentException(
                $"expected {codebooks} codebooks of {codeCount} codes, got {other.Codebooks} of {other.CodeCount}",
                nameof(other)
            );
        return Enumerable.Range(0, codebooks).Sum(book => CodeRate.EmpiricalBits(other.counts[book], counts[book]));
    }
}

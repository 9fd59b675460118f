using System.Runtime.InteropServices;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>
/// Collects for each code of a level the P positions whose vectors are nearest to it, among those that chose it, at most one per image. It
/// stores M·K·P positions for any number of images. Of equally near positions the first is kept.
/// </summary>
/// <remarks>Axis legend: B batch, M codebooks, K codes, P patches, H W height and width of the level's grid.</remarks>
public sealed class NearestPatches
{
    private readonly int codes;
    private readonly int[] images; // (M, K, P); −1 where there is none
    private readonly int[] cells; // row · W + column
    private readonly float[] distances; // ascending within a code

    public NearestPatches(int codebooks, int codes, int patches)
    {
        (Codebooks, this.codes, Patches) = (codebooks, codes, patches);
        images = new int[codebooks * codes * patches];
        cells = new int[images.Length];
        distances = new float[images.Length];
        Array.Fill(images, -1);
        Array.Fill(distances, float.PositiveInfinity);
    }

    public int Codebooks { get; }

    /// <summary>Number of patches P.</summary>
    public int Patches { get; }

    /// <summary>Adds a batch that was quantized in evaluation mode.</summary>
    /// <param name="level">A quantization with distances.</param>
    /// <param name="firstImage">Index of the batch's first image; it grows from batch to batch.</param>
    public void Add(Quantized level, int firstImage)
    {
        using var scope = NewDisposeScope();
        var measured = level.Distances ?? throw new ArgumentException("expected a level quantized in evaluation", nameof(level));
        var chosen = MemoryMarshal.Cast<byte, long>(level.Indices.cpu().contiguous().bytes);
        var near = MemoryMarshal.Cast<byte, float>(measured.to_type(ScalarType.Float32).cpu().contiguous().bytes);
        var positions = (int)(level.Indices.shape[2] * level.Indices.shape[3]);
        for (var at = 0; at < chosen.Length; at++)
        {
            var row = at / positions; // image · M + codebook
            var code = row % Codebooks * codes + (int)chosen[at];
            Offer(code * Patches, firstImage + row / Codebooks, at % positions, near[at]);
        }
    }

    /// <summary>The patches of a code, the nearest first: image, cell (row · W + column) and distance.</summary>
    public IEnumerable<(int Image, int Cell, float Distance)> Of(int codebook, int code)
    {
        var start = (codebook * codes + code) * Patches;
        for (var at = start; at < start + Patches && images[at] >= 0; at++)
            yield return (images[at], cells[at], distances[at]);
    }

    private void Offer(int start, int image, int cell, float distance)
    {
        var last = start + Patches - 1;
        if (!(distance < distances[last]))
            return;
        // an earlier entry of the same image is the one to replace, if there is one
        var free = Array.IndexOf(images, image, start, Patches);
        if (free < 0)
            free = last;
        else if (!(distance < distances[free]))
            return;
        for (; free > start && distance < distances[free - 1]; free--)
            (images[free], cells[free], distances[free]) = (images[free - 1], cells[free - 1], distances[free - 1]);
        (images[free], cells[free], distances[free]) = (image, cell, distance);
    }
}

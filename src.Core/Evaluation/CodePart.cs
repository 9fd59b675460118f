using DQ.Core.Artifacts;
using DQ.Core.Autoencoders;

namespace DQ.Core.Evaluation;

/// <summary>The part of an image's codes that a decoder receives.</summary>
/// <param name="Kind">See <see cref="SampleView.Kind"/>.</param>
/// <param name="Levels">Levels decoded, the lowest first.</param>
/// <param name="Without">The codebook whose output is replaced by its mean; null for none.</param>
public sealed record CodePart(string Kind, IReadOnlyList<int> Levels, CodebookPlace? Without)
{
    /// <summary>A name for files.</summary>
    public string Name =>
        Kind switch
        {
            SampleView.LevelsKind => $"levels-{string.Join("-", Levels)}",
            SampleView.AblationKind => $"without-{Without!.Level}-{Without.Codebook}",
            _ => Kind,
        };

    /// <summary>All codes.</summary>
    public static CodePart Full(AutoencoderSpec spec) => new(SampleView.FullKind, All(spec), null);

    /// <summary>
    /// Each level alone, from the top down, and each further prefix of levels from the top down, except all levels.
    /// </summary>
    public static IReadOnlyList<CodePart> OfLevels(AutoencoderSpec spec)
    {
        if (spec.Levels == 1)
            return [];
        int[][] alone = [.. All(spec).Reverse().Select(level => new[] { level })];
        int[][] prefixes = [.. Enumerable.Range(2, spec.Levels - 2).Select(count => All(spec).Skip(spec.Levels - count).ToArray())];
        return [.. alone.Concat(prefixes).Select(levels => new CodePart(SampleView.LevelsKind, levels, null))];
    }

    /// <summary>All codes except those of one codebook, for each codebook; bottom level first.</summary>
    public static IReadOnlyList<CodePart> Ablations(AutoencoderSpec spec) =>
        [
            .. All(spec)
                .SelectMany(level => Enumerable.Range(0, spec.Codebooks).Select(book => new CodebookPlace(level, book)))
                .Select(place => new CodePart(SampleView.AblationKind, All(spec), place)),
        ];

    private static IReadOnlyList<int> All(AutoencoderSpec spec) => [.. Enumerable.Range(0, spec.Levels)];
}

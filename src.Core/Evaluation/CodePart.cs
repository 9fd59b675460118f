using DQ.Core.Artifacts;
using DQ.Core.Autoencoders;

namespace DQ.Core.Evaluation;

/// <summary>What of an image's codes a decoder is given.</summary>
/// <param name="Kind">As <see cref="SampleView.Kind"/> says.</param>
/// <param name="Levels">Levels decoded, the lowest first.</param>
/// <param name="Without">The codebook whose output is its mean; null for none.</param>
public sealed record CodePart(string Kind, IReadOnlyList<int> Levels, CodebookPlace? Without)
{
    /// <summary>Fit for a file's name.</summary>
    public string Name =>
        Kind switch
        {
            SampleView.LevelsKind => $"levels-{string.Join("-", Levels)}",
            SampleView.AblationKind => $"without-{Without!.Level}-{Without.Codebook}",
            _ => Kind,
        };

    /// <summary>Everything.</summary>
    public static CodePart Full(AutoencoderSpec spec) => new(SampleView.FullKind, All(spec), null);

    /// <summary>
    /// Each level alone, from the top down, and each prefix of levels from the top down that is not one of those nor everything.
    /// </summary>
    public static IReadOnlyList<CodePart> OfLevels(AutoencoderSpec spec)
    {
        if (spec.Levels == 1)
            return [];
        int[][] alone = [.. All(spec).Reverse().Select(level => new[] { level })];
        int[][] prefixes = [.. Enumerable.Range(2, spec.Levels - 2).Select(count => All(spec).Skip(spec.Levels - count).ToArray())];
        return [.. alone.Concat(prefixes).Select(levels => new CodePart(SampleView.LevelsKind, levels, null))];
    }

    /// <summary>Everything but one codebook, for each; bottom level first.</summary>
    public static IReadOnlyList<CodePart> Ablations(AutoencoderSpec spec) =>
        [
            .. All(spec)
                .SelectMany(level => Enumerable.Range(0, spec.Codebooks).Select(book => new CodebookPlace(level, book)))
                .Select(place => new CodePart(SampleView.AblationKind, All(spec), place)),
        ];

    private static IReadOnlyList<int> All(AutoencoderSpec spec) => [.. Enumerable.Range(0, spec.Levels)];
}

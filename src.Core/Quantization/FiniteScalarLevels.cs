namespace DQ.Core.Quantization;

/// <summary>Chooses the number of values of each dimension of finite scalar quantization, so that there are exactly K codes.</summary>
/// <remarks>
/// Mentzer et al. 2023, table 1, recommends levels of at least 5, and lists these for K near powers of two: 240 = 8·6·5, 1000 = 8·5·5·5,
/// 4375 = 7·5·5·5·5, 15360 = 8·8·8·6·5, 64000 = 8·8·8·5·5·5. The rule here gives the same levels for these K.
/// </remarks>
public static class FiniteScalarLevels
{
    /// <summary>The smallest level. <see cref="LookupFreeQuantizer"/> covers two values: here the offset of even levels would put their
    /// boundary where tanh is flat.</summary>
    private const int Least = 3;
    private const int Most = 8;

    /// <summary>
    /// Levels from 3 to 8, in falling order, whose product is <paramref name="codes"/>. Of several lists, the one whose smallest level is
    /// largest is taken, then the shortest.
    /// </summary>
    /// <returns>Null if there are no such levels.</returns>
    public static IReadOnlyList<int>? For(int codes) =>
        Products(codes, Most).OrderByDescending(levels => levels[^1]).ThenBy(levels => levels.Count).FirstOrDefault();

    /// <summary>The nearest K below and above for which such levels exist.</summary>
    public static (int? Below, int Above) Around(int codes)
    {
        int? below = null;
        for (var smaller = codes - 1; below is null && smaller >= Least; smaller--)
            if (For(smaller) is not null)
                below = smaller;
        var above = Math.Max(codes + 1, Least);
        while (For(above) is null)
            above++;
        return (below, above);
    }

    private static IEnumerable<IReadOnlyList<int>> Products(int codes, int most)
    {
        if (codes >= Least && codes <= most)
            yield return [codes];
        for (var level = most; level >= Least; level--)
            if (codes % level == 0)
                foreach (var rest in Products(codes / level, level))
                    yield return [level, .. rest];
    }
}

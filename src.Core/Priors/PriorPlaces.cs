namespace DQ.Core.Priors;

/// <summary>The places around a position from which its codes are predicted, as (rows down, columns right).</summary>
internal static class PriorPlaces
{
    /// <summary>Of a level above: the position over it and the eight around that.</summary>
    public static IReadOnlyList<(int Row, int Column)> Around { get; } =
    [.. Enumerable.Range(-1, 3).SelectMany(row => Enumerable.Range(-1, 3).Select(column => (row, column)))];

    /// <summary>Of the same level: the positions before it in raster order, up to a distance.</summary>
    public static IReadOnlyList<(int Row, int Column)> Before(int radius) =>
        [
            .. Enumerable
                .Range(-radius, radius)
                .SelectMany(row => Enumerable.Range(-radius, 2 * radius + 1).Select(column => (row, column))),
            .. Enumerable.Range(-radius, radius).Select(column => (0, column)),
        ];
}

using System.Globalization;

namespace DQ.Reports.Pictures;

/// <summary>Parts of sheets as backgrounds: one request for many pictures, at any size on the page.</summary>
public static class Crop
{
    /// <summary>Style of an element that shows image <paramref name="index"/> of a sheet, whatever the element's size.</summary>
    public static string Image(SampleSet set, Core.Artifacts.SampleView view, int index)
    {
        var (columns, rows) = (set.Record.Columns, set.Rows);
        return Style(set.Sheet(view), columns, rows, index % columns, index / columns);
    }

    /// <summary>The same of a grid of equal cells; column and row may be fractions of a cell.</summary>
    public static string Style(string sheet, double columns, double rows, double column, double row) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"background-image:url('{sheet}');background-size:{100 * columns:0.####}% {100 * rows:0.####}%;background-position:{Share(column, columns):0.####}% {Share(row, rows):0.####}%"
        );

    /// What CSS calls a position: 0 % is the first cell, 100 % the last.
    private static double Share(double at, double count) => count <= 1 ? 0 : 100 * at / (count - 1);
}

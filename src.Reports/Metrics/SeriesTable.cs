namespace DQ.Reports.Metrics;

/// <summary>
/// Numbers by line, in bounded memory: when more lines came than there are rows, neighbours are merged into means with their extremes kept,
/// so that a spike stays visible however long the run.
/// </summary>
public sealed class SeriesTable(int capacity)
{
    private readonly Dictionary<string, Column> columns = new(StringComparer.Ordinal);
    private int inLast;

    /// <summary>Lines merged into a row.</summary>
    public int LinesPerRow { get; private set; } = 1;

    public int Rows { get; private set; }

    public long Lines { get; private set; }

    public IEnumerable<string> Names => columns.Keys;

    public int Count => columns.Count;

    /// <summary>Begins a line; <see cref="Add"/> its numbers after it.</summary>
    public void Begin()
    {
        if (Rows == 0 || inLast == LinesPerRow)
        {
            if (Rows == capacity)
                Halve();
            Rows++;
            inLast = 0;
        }
        inLast++;
        Lines++;
    }

    /// <summary>A number of the line begun last; what is not finite is no number.</summary>
    public void Add(string name, double value)
    {
        if (!double.IsFinite(value))
            return;
        if (!columns.TryGetValue(name, out var column))
            columns[name] = column = new Column();
        column.Add(Rows - 1, value);
    }

    /// <summary>Means by row; NaN where a row has none. Empty for an unknown name.</summary>
    public IEnumerable<double> Means(string name) => Select(name, (column, row) => column.Sum[row] / column.Lines[row]);

    public IEnumerable<double> Lowest(string name) => Select(name, (column, row) => column.Low[row]);

    public IEnumerable<double> Highest(string name) => Select(name, (column, row) => column.High[row]);

    public double? Last(string name)
    {
        if (columns.TryGetValue(name, out var column))
            for (var row = Rows - 1; row >= 0; row--)
                if (column.Has(row))
                    return column.Sum[row] / column.Lines[row];
        return null;
    }

    private IEnumerable<double> Select(string name, Func<Column, int, double> value) =>
        columns.TryGetValue(name, out var column)
            ? Enumerable.Range(0, Rows).Select(row => column.Has(row) ? value(column, row) : double.NaN)
            : [];

    private void Halve()
    {
        foreach (var column in columns.Values)
            column.Halve(Rows);
        Rows = (Rows + 1) / 2;
        LinesPerRow *= 2;
    }

    private sealed class Column
    {
        private int[] lines = [];
        private double[] low = [];
        private double[] high = [];

        public double[] Sum { get; private set; } = [];
        public IReadOnlyList<int> Lines => lines;
        public IReadOnlyList<double> Low => low;
        public IReadOnlyList<double> High => high;

        public bool Has(int row) => row < lines.Length && lines[row] > 0;

        public void Add(int row, double value)
        {
            if (row >= lines.Length)
                Grow(Math.Max(64, 2 * row));
            low[row] = lines[row] == 0 ? value : Math.Min(low[row], value);
            high[row] = lines[row] == 0 ? value : Math.Max(high[row], value);
            Sum[row] += value;
            lines[row]++;
        }

        public void Halve(int rows)
        {
            Grow(rows + 1); // a last row without a neighbour has an empty one
            var half = (rows + 1) / 2;
            for (var row = 0; row < half; row++)
            {
                var (left, right) = (2 * row, 2 * row + 1);
                (low[row], high[row]) =
                    lines[right] == 0 ? (low[left], high[left])
                    : lines[left] == 0 ? (low[right], high[right])
                    : (Math.Min(low[left], low[right]), Math.Max(high[left], high[right]));
                (Sum[row], lines[row]) = (Sum[left] + Sum[right], lines[left] + lines[right]);
            }
            Array.Clear(Sum, half, Sum.Length - half);
            Array.Clear(lines, half, lines.Length - half);
        }

        private void Grow(int rows)
        {
            if (rows <= lines.Length)
                return;
            Array.Resize(ref lines, rows);
            Array.Resize(ref low, rows);
            Array.Resize(ref high, rows);
            var sum = Sum;
            Array.Resize(ref sum, rows);
            Sum = sum;
        }
    }
}

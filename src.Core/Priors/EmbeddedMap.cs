namespace DQ.Core.Priors;

/// <summary>The sums of embeddings at every position of a level's grid, with a margin of places outside of it: (N, H, W, E) of int16.</summary>
internal sealed class EmbeddedMap
{
    private readonly FrozenEmbeddings tables;
    private readonly int size;
    private readonly int height;
    private readonly int width;
    private readonly int margin;
    private readonly int stride;
    private readonly short[][] maps;

    /// <param name="tables">The embeddings.</param>
    /// <param name="size">Numbers E of an embedding.</param>
    /// <param name="images">Images N.</param>
    /// <param name="height">Rows of the grid.</param>
    /// <param name="width">Columns.</param>
    /// <param name="margin">Places outside at the left, the right and the top.</param>
    /// <param name="bottom">The same at the bottom.</param>
    public EmbeddedMap(FrozenEmbeddings tables, int size, int images, int height, int width, int margin, int bottom)
    {
        (this.tables, this.size, this.height, this.width, this.margin) = (tables, size, height, width, margin);
        stride = (width + 2 * margin) * size;
        var outside = new short[size];
        foreach (var table in tables.Tables)
            Add(outside, table.AsSpan(^size..));
        var empty = new short[checked((height + margin + bottom) * stride)];
        for (var at = 0; at < empty.Length; at += size)
            outside.CopyTo(empty, at);
        maps = [.. Enumerable.Range(0, images).Select(_ => (short[])empty.Clone())];
    }

    /// <summary>Sets all positions of an image from its codes, (M, H, W).</summary>
    public void Fill(int image, int[] codes)
    {
        var sum = new short[size];
        for (var at = 0; at < height * width; at++)
        {
            Array.Clear(sum);
            for (var book = 0; book < tables.Tables.Count; book++)
                Add(sum, tables.Tables[book].AsSpan(codes[book * height * width + at] * size, size));
            Set(image, at / width, at % width, sum);
        }
    }

    public void Set(int image, int row, int column, ReadOnlySpan<short> sum) => sum.CopyTo(maps[image].AsSpan(At(row, column)));

    /// <summary>Copies positions side by side; returns what is left of the target.</summary>
    public Span<short> Copy(int image, int row, int column, int count, Span<short> target)
    {
        maps[image].AsSpan(At(row, column), count * size).CopyTo(target);
        return target[(count * size)..];
    }

    private int At(int row, int column) => (row + margin) * stride + (column + margin) * size;

    private static void Add(Span<short> sum, ReadOnlySpan<short> terms)
    {
        for (var i = 0; i < sum.Length; i++)
            sum[i] += terms[i];
    }
}

using DQ.Core.Coding;

namespace DQ.Core.Priors;

/// <summary>One level of a <see cref="PriorWalk"/>. Axes: N images, H W rows and columns of the grid, E embedding.</summary>
internal sealed unsafe class PriorLevelWalk
{
    private const int StridePadding = 32;

    private readonly FrozenPriorLevel level;
    private readonly PriorSpec spec;
    private readonly int number;
    private readonly int[][][] codes;
    private readonly int height;
    private readonly int width;
    private readonly EmbeddedMap own;
    private readonly EmbeddedMap[] above;

    private readonly LayerProduct enter;
    private readonly LayerProduct hidden;
    private readonly LayerProduct[] join;
    private readonly LayerProduct[] leave;

    // rows of N images, padded to whole blocks
    private readonly int inputStride;
    private readonly int joinedStride;
    private readonly short[] inputs;
    private readonly short[] first;
    private readonly short[] joined; // activations, then the sum of the codebooks before
    private readonly int[] sums;

    public PriorLevelWalk(FrozenPrior prior, IReadOnlyList<(int Height, int Width)> grids, int number, int[][][] codes)
    {
        (this.number, this.codes, level, spec) = (number, codes, prior.Levels[number], prior.Spec);
        (height, width) = grids[number];
        own = new(level.Own, spec.Embedding, codes.Length, height, width, spec.Radius, 0);
        above = [.. level.Above.Select((tables, index) => Above(tables, grids[number + 1 + index], number + 1 + index))];
        enter = LayerProduct.For(level.Enter);
        hidden = LayerProduct.For(level.Hidden);
        join = [.. level.Join.Select(LayerProduct.For)];
        leave = [.. level.Leave.Select(LayerProduct.For)];
        var rows = Padded(codes.Length, LayerProduct.RowsOfBlock);
        inputStride = Padded(spec.Inputs(number), StridePadding);
        joinedStride = Padded(spec.Width + spec.Embedding, StridePadding);
        inputs = Pinned<short>(rows * inputStride);
        first = Pinned<short>(rows * joinedStride);
        joined = Pinned<short>(rows * joinedStride);
        sums = Pinned<int>(rows * ((LayerProduct[])[enter, hidden, .. join, .. leave]).Max(product => product.Stride));
    }

    public void Run<TVisitor>(ref TVisitor visitor, CancellationToken cancellation)
        where TVisitor : ICodeVisitor, allows ref struct
    {
        for (var row = 0; row < height; row++)
        {
            cancellation.ThrowIfCancellationRequested();
            for (var column = 0; column < width; column++)
            {
                Features(row, column);
                for (var book = 0; book < join.Length; book++)
                    Visit(book, (book * height + row) * width + column, ref visitor);
                for (var image = 0; image < codes.Length; image++)
                    own.Set(image, row, column, joined.AsSpan(image * joinedStride + spec.Width, spec.Embedding));
            }
        }
    }

    private static T[] Pinned<T>(int count)
        where T : unmanaged => GC.AllocateArray<T>(count, pinned: true);

    private static int Padded(int count, int step) => (count + step - 1) / step * step;

    private EmbeddedMap Above(FrozenEmbeddings tables, (int Height, int Width) grid, int from)
    {
        var map = new EmbeddedMap(tables, spec.Embedding, codes.Length, grid.Height, grid.Width, 1, 1);
        for (var image = 0; image < codes.Length; image++)
            map.Fill(image, codes[image][from]);
        return map;
    }

    /// What does not depend on the position's own codes: of each image into its row of `joined`.
    private void Features(int row, int column)
    {
        for (var image = 0; image < codes.Length; image++)
            Gather(image, row, column, inputs.AsSpan(image * inputStride, inputStride));
        enter.Run(ContextNet.Address(inputs), inputStride, codes.Length, ContextNet.Address(sums));
        Activate(level.Enter, enter.Stride, first, null);
        hidden.Run(ContextNet.Address(first), joinedStride, codes.Length, ContextNet.Address(sums));
        Activate(level.Hidden, hidden.Stride, joined, first);
        for (var image = 0; image < codes.Length; image++)
            joined.AsSpan(image * joinedStride + spec.Width, spec.Embedding).Clear();
    }

    private void Gather(int image, int row, int column, Span<short> target)
    {
        var (radius, size) = (spec.Radius, spec.Embedding);
        for (var up = radius; up > 0; up--)
            target = own.Copy(image, row - up, column - radius, 2 * radius + 1, target);
        target = own.Copy(image, row, column - radius, radius, target);
        for (var index = 0; index < above.Length; index++)
        {
            var ratio = spec.Ratio(number, number + 1 + index);
            for (var down = -1; down <= 1; down++)
                target = above[index].Copy(image, row / ratio + down, column / ratio - 1, 3, target);
        }
        if (level.Phase is not { } phase)
            return;
        var side = spec.Ratio(number, number + 1);
        phase.AsSpan((row % side * side + column % side) * size, size).CopyTo(target);
    }

    /// target = min(added + max(sums, 0) >> shift, largest)
    private void Activate(FrozenLayer layer, int stride, short[] target, short[]? added)
    {
        for (var image = 0; image < codes.Length; image++)
        {
            var from = sums.AsSpan(image * stride, layer.Outputs);
            var to = target.AsSpan(image * joinedStride, layer.Outputs);
            var more = added is null ? default : added.AsSpan(image * joinedStride, layer.Outputs);
            for (var unit = 0; unit < from.Length; unit++)
            {
                var value = Math.Min(Math.Max(from[unit], 0) >> layer.Shift, FrozenPrior.LargestActivation);
                to[unit] = (short)(more.IsEmpty ? value : Math.Min(value + more[unit], FrozenPrior.LargestActivation));
            }
        }
    }

    private void Visit<TVisitor>(int book, int at, ref TVisitor visitor)
        where TVisitor : ICodeVisitor, allows ref struct
    {
        join[book].Run(ContextNet.Address(joined), joinedStride, codes.Length, ContextNet.Address(sums));
        Activate(level.Join[book], join[book].Stride, first, null);
        leave[book].Run(ContextNet.Address(first), joinedStride, codes.Length, ContextNet.Address(sums));
        var (table, count, stride) = (level.Own.Tables[book], level.Leave[book].Outputs, leave[book].Stride);
        for (var image = 0; image < codes.Length; image++)
        {
            var known = codes[image][number][at];
            var code = visitor.Visit(image, number, book, sums.AsSpan(image * stride, count), level.Leave[book].Shift, known);
            codes[image][number][at] = code;
            var before = joined.AsSpan(image * joinedStride + spec.Width, spec.Embedding);
            for (var i = 0; i < before.Length; i++)
                before[i] += table[code * before.Length + i];
        }
    }
}

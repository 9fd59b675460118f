namespace DQ.Core.Formats;

/// <summary>
/// Checks that an unpickled value is a tree that a caller can traverse: no value contains itself, the tree is not too deep, it is not
/// extremely large through shared parts, and it has no names without an object.
/// </summary>
internal static class PickledTree
{
    private const int Deepest = 200;
    private const long Largest = 20_000_000;

    private readonly record struct Extent(int Depth, long Values);

    private sealed class Visit(PickledValue value)
    {
        public PickledValue Value { get; } = value;
        public IReadOnlyList<PickledValue> Children { get; } = value.Children;
        public int Next { get; set; }
        public Extent Extent { get; set; } = new(1, 1);
    }

    /// <exception cref="WeightsException">The value is not such a tree.</exception>
    public static void Check(PickledValue root)
    {
        var finished = new Dictionary<PickledValue, Extent>(ReferenceEqualityComparer.Instance);
        var open = new HashSet<PickledValue>(ReferenceEqualityComparer.Instance) { root };
        var path = new Stack<Visit>([new Visit(root)]);
        while (path.TryPeek(out var visit))
        {
            if (visit.Value is PickledGlobal global)
                throw PickleCalls.Refused(global);
            if (visit.Value is PickledStorage)
                throw new WeightsException("expected tensors, found a bare storage in the pickle; save the tensor instead");
            if (visit.Next < visit.Children.Count)
            {
                var child = visit.Children[visit.Next];
                if (finished.TryGetValue(child, out var known))
                    Add(visit, known);
                else if (open.Add(child))
                    path.Push(new(child));
                else
                    throw new WeightsException("expected plain data, found a value that contains itself in the pickle");
                continue;
            }
            path.Pop();
            open.Remove(visit.Value);
            finished[visit.Value] = visit.Extent;
        }
    }

    private static void Add(Visit parent, Extent child)
    {
        parent.Next++;
        parent.Extent = new(Math.Max(parent.Extent.Depth, child.Depth + 1), parent.Extent.Values + child.Values);
        if (parent.Extent.Depth > Deepest || parent.Extent.Values > Largest)
            throw new WeightsException($"expected plain data at most {Deepest} deep and of {Largest} values when written out");
    }
}

using System.Diagnostics.CodeAnalysis;

namespace DQ.Core.Formats;

/// <summary>A dictionary in the order of the file. Keys are texts, integers, booleans or None.</summary>
public sealed class PickledDictionary : PickledValue
{
    private readonly List<PickledValue> keys = [];
    private readonly List<PickledValue> values = [];
    private readonly Dictionary<string, int> indices = new(StringComparer.Ordinal);

    public int Count => keys.Count;

    public IReadOnlyList<PickledValue> Keys => keys;

    /// <summary>The values, in the order of <see cref="Keys"/>.</summary>
    public IReadOnlyList<PickledValue> Values => values;

    internal override IReadOnlyList<PickledValue> Children => [.. keys, .. values];

    /// <summary>The value under a text key.</summary>
    public bool TryGetValue(string key, [NotNullWhen(true)] out PickledValue? value)
    {
        value = indices.TryGetValue($"t{key}", out var index) ? values[index] : null;
        return value is not null;
    }

    internal void Set(PickledValue key, PickledValue value)
    {
        var identity = Identity(key);
        if (indices.TryGetValue(identity, out var index))
        {
            values[index] = value;
            return;
        }
        indices.Add(identity, keys.Count);
        keys.Add(key);
        values.Add(value);
    }

    /// Strings, because their hashes are seeded, so that a file cannot choose keys that collide.
    private static string Identity(PickledValue key) =>
        key switch
        {
            PickledText text => $"t{text.Value}",
            PickledInteger integer => $"i{integer.Value}",
            PickledBoolean boolean => boolean.Value ? "i1" : "i0", // equal in Python
            PickledNone => "n",
            _ => throw new WeightsException("expected dictionaries with texts or integers as keys"),
        };
}

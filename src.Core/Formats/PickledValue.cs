using System.Numerics;

namespace DQ.Core.Formats;

/// <summary>A value of an unpickled file, which is only data. Trees of values have no cycles.</summary>
public abstract class PickledValue
{
    internal static readonly IReadOnlyList<PickledValue> NoChildren = [];

    /// <summary>The elements of a container, with its keys.</summary>
    internal virtual IReadOnlyList<PickledValue> Children => NoChildren;
}

/// <summary>Python's <c>None</c>.</summary>
public sealed class PickledNone : PickledValue
{
    public static PickledNone Instance { get; } = new();

    private PickledNone() { }
}

public sealed class PickledBoolean(bool value) : PickledValue
{
    public bool Value { get; } = value;
}

public sealed class PickledInteger(BigInteger value) : PickledValue
{
    public BigInteger Value { get; } = value;
}

/// <summary>A floating-point number; numpy's scalars become these too.</summary>
public sealed class PickledNumber(double value) : PickledValue
{
    public double Value { get; } = value;
}

/// <summary>A string, also the name of a torch type or device.</summary>
public sealed class PickledText(string value) : PickledValue
{
    public string Value { get; } = value;
}

public sealed class PickledBytes(ReadOnlyMemory<byte> value) : PickledValue
{
    public ReadOnlyMemory<byte> Value { get; } = value;
}

public enum PickledSequenceKind
{
    List,
    Tuple,
    Set,
}

/// <summary>A list, a tuple or a set, in the order of the file.</summary>
public sealed class PickledSequence : PickledValue
{
    internal PickledSequence(PickledSequenceKind kind, List<PickledValue> items)
    {
        Kind = kind;
        Values = items;
    }

    public PickledSequenceKind Kind { get; }

    public IReadOnlyList<PickledValue> Items => Values;

    internal List<PickledValue> Values { get; }

    internal override IReadOnlyList<PickledValue> Children => Values;
}

/// <summary>An object of an unknown class: the name of the class, and the attributes.</summary>
public sealed class PickledObject : PickledValue
{
    internal PickledObject(string className) => ClassName = className;

    /// <summary>Module and name, such as <c>utils.ModelConfig</c>.</summary>
    public string ClassName { get; }

    public PickledDictionary Attributes { get; } = new();

    internal override IReadOnlyList<PickledValue> Children => [Attributes];
}

/// <summary>A name in a module. Only the unpickler uses these; a file whose tree still has one is refused.</summary>
internal sealed class PickledGlobal(string name) : PickledValue
{
    public string Name { get; } = name;
}

using System.Buffers.Binary;
using System.Numerics;
using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>
/// The functions that a pickle of weights may call, implemented by their results as data. All others are refused, and the message names
/// them.
/// </summary>
/// <param name="admit">Refuses tensors that are implausibly large.</param>
/// <param name="charge">Receives the number of copied values.</param>
/// <param name="longestBytes">Maximum bytes of all byte strings together that are written as text (protocol 2).</param>
/// <param name="further">Further functions that may be called: returns the value, or null if the call is refused.</param>
internal sealed class PickleCalls(
    Action<PickledTensor> admit,
    Action<int> charge,
    int longestBytes,
    Func<PickledGlobal, IReadOnlyList<PickledValue>, PickledValue?>? further
)
{
    public const string NumpyType = "numpy.dtype";

    private static readonly Dictionary<string, ScalarType> TorchTypes = new()
    {
        ["torch.float64"] = ScalarType.Float64,
        ["torch.float32"] = ScalarType.Float32,
        ["torch.float16"] = ScalarType.Float16,
        ["torch.bfloat16"] = ScalarType.BFloat16,
        ["torch.int64"] = ScalarType.Int64,
        ["torch.int32"] = ScalarType.Int32,
        ["torch.int16"] = ScalarType.Int16,
        ["torch.int8"] = ScalarType.Int8,
        ["torch.uint8"] = ScalarType.Byte,
        ["torch.bool"] = ScalarType.Bool,
    };

    private int bytesLeft = longestBytes;

    /// <summary>The value of a name: torch's element types become texts; all others can only be called.</summary>
    public static PickledValue Global(string module, string name)
    {
        // protocol 2 keeps Python 2's names for these
        var home = module switch
        {
            "__builtin__" => "builtins",
            "copy_reg" => "copyreg",
            _ => module,
        };
        var whole = $"{home}.{name}";
        return TorchTypes.ContainsKey(whole) ? new PickledText(whole) : new PickledGlobal(whole);
    }

    public static WeightsException Refused(PickledGlobal global) =>
        new(
            $"the pickle calls {WeightsException.Quote(global.Name)}, which is not plain data and is refused; save tensors, containers and numbers only"
        );

    /// <exception cref="WeightsException">The function is not one of those allowed, or its arguments are wrong.</exception>
    public PickledValue Call(PickledGlobal function, List<PickledValue> arguments) =>
        (function.Name, arguments) switch
        {
            ("torch._utils._rebuild_tensor", { Count: 4 }) => MakeTensor(arguments),
            ("torch._utils._rebuild_tensor_v2", { Count: 6 or 7 }) => MakeTensor(arguments),
            // the form of newer types: the storage is bytes, and the type is a separate argument
            ("torch._utils._rebuild_tensor_v3", [PickledStorage bytes, _, _, _, _, _, PickledText type, ..])
                when TorchTypes.TryGetValue(type.Value, out var typed) => MakeTensor([bytes.As(typed), .. arguments.Skip(1)]),
            ("torch._utils._rebuild_tensor_v3", [_, _, _, _, _, _, PickledGlobal unknown, ..]) => throw Refused(unknown),
            ("torch._utils._rebuild_parameter", [PickledTensor data, ..]) => data,
            ("torch._utils._rebuild_parameter_with_state", [PickledTensor data, ..]) => data,
            (
                "torch._tensor._rebuild_from_type_v2",
                [PickledGlobal { Name: "torch._utils._rebuild_tensor_v2" }, _, PickledSequence inner, ..]
            ) => MakeTensor(inner.Values),
            ("torch.Size", [PickledSequence sizes]) => sizes,
            ("torch.device", [PickledText device, ..]) => device,
            ("collections.OrderedDict" or "builtins.dict", []) => new PickledDictionary(),
            ("collections.defaultdict", [] or [PickledGlobal or PickledNone]) => new PickledDictionary(),
            ("collections.OrderedDict" or "builtins.dict", [PickledSequence pairs]) => Dictionary(pairs),
            ("builtins.set" or "builtins.frozenset", [PickledSequence items]) => new PickledSequence(PickledSequenceKind.Set, items.Values),
            ("_codecs.encode", [PickledText text, PickledText { Value: "latin1" }]) => Latin1(text.Value),
            ("builtins.bytes" or "builtins.bytearray", []) => new PickledBytes(default),
            ("builtins.bytearray", [PickledBytes bytes]) => bytes,
            ("copyreg._reconstructor", [PickledGlobal type, PickledGlobal { Name: "builtins.object" }, PickledNone]) => new PickledObject(
                type.Name
            ),
            (NumpyType, [PickledText code, ..]) => NumpyDataType(code),
            ("numpy.core.multiarray.scalar" or "numpy._core.multiarray.scalar", [PickledObject type, PickledBytes bytes]) => NumpyScalar(
                type,
                bytes.Value.Span
            ),
            _ => further?.Invoke(function, arguments) ?? throw Refused(function),
        };

    /// <summary>Sets an object's attributes. Those of a dictionary, such as a state dict's <c>_metadata</c>, are left out.</summary>
    public void Build(PickledValue target, PickledValue state)
    {
        switch (target, state)
        {
            case (PickledObject { ClassName: NumpyType } type, PickledSequence { Values: [_, PickledText order, ..] }):
                type.Attributes.Set(new PickledText("byteorder"), order);
                break;
            case (PickledArray array, PickledSequence contents):
                array.Fill(contents.Items);
                break;
            case (PickledObject bag, PickledDictionary attributes):
                AddAttributes(bag, attributes);
                break;
            // a class with __slots__
            case (
                PickledObject bag,
                PickledSequence { Values: [PickledDictionary or PickledNone, PickledDictionary or PickledNone] parts }
            ):
                foreach (var attributes in parts.OfType<PickledDictionary>())
                    AddAttributes(bag, attributes);
                break;
            case (PickledDictionary, PickledDictionary):
                break;
            default:
                throw new WeightsException("expected plain objects with a dictionary of attributes in the pickle");
        }
    }

    private void AddAttributes(PickledObject bag, PickledDictionary attributes)
    {
        charge(attributes.Count);
        for (var index = 0; index < attributes.Count; index++)
            bag.Attributes.Set(attributes.Keys[index], attributes.Values[index]);
    }

    private PickledTensor MakeTensor(List<PickledValue> arguments)
    {
        if (arguments is not [PickledStorage storage, PickledInteger offset, PickledSequence sizes, PickledSequence strides, ..])
            throw new WeightsException("expected tensors made of a storage, an offset, sizes and strides");
        var tensor = new PickledTensor(storage, Int64(offset), Longs(sizes), Longs(strides));
        admit(tensor);
        return tensor;
    }

    private static long[] Longs(PickledSequence values)
    {
        // longer ones are refused with the tensor, so they are not copied
        var most = values.Values.Take(SafeTensorsHeader.MaximumDimensions + 1);
        return
        [
            .. most.Select(value =>
                value is PickledInteger integer ? Int64(integer) : throw new WeightsException("expected integers as sizes and strides")
            ),
        ];
    }

    private static long Int64(PickledInteger integer) =>
        integer.Value >= 0 && integer.Value <= long.MaxValue
            ? (long)integer.Value
            : throw new WeightsException($"expected offsets, sizes and strides from 0 to {long.MaxValue}");

    private PickledDictionary Dictionary(PickledSequence pairs)
    {
        charge(pairs.Values.Count);
        var dictionary = new PickledDictionary();
        foreach (var pair in pairs.Values)
        {
            if (pair is not PickledSequence { Values: [var key, var value] })
                throw new WeightsException("expected pairs to make a dictionary of");
            dictionary.Set(key, value);
        }
        return dictionary;
    }

    /// Byte strings in protocol 2: a text whose characters are the bytes.
    private PickledBytes Latin1(string text)
    {
        bytesLeft -= text.Length;
        if (bytesLeft < 0 || text.Any(letter => letter > byte.MaxValue))
            throw new WeightsException("expected byte strings written as Latin-1, no larger together than the pickle");
        return new(text.Select(letter => (byte)letter).ToArray());
    }

    private static PickledObject NumpyDataType(PickledText code)
    {
        var type = new PickledObject(NumpyType);
        type.Attributes.Set(new PickledText("code"), code);
        return type;
    }

    private static PickledValue NumpyScalar(PickledObject type, ReadOnlySpan<byte> bytes)
    {
        if (
            type.ClassName != NumpyType
            || !type.Attributes.TryGetValue("code", out var value)
            || value is not PickledText { Value: [var kind, var digit] }
            || bytes.Length != digit - '0'
        )
            throw new WeightsException("expected numpy scalars that are numbers of as many bytes as their type says");
        var little = !(type.Attributes.TryGetValue("byteorder", out var order) && order is PickledText { Value: ">" });
        return (kind, bytes.Length, little) switch
        {
            ('b', 1, _) => new PickledBoolean(bytes[0] != 0),
            ('i' or 'u', 1 or 2 or 4 or 8, _) => new PickledInteger(new BigInteger(bytes, isUnsigned: kind == 'u', isBigEndian: !little)),
            ('f', 2, true) => new PickledNumber((double)BinaryPrimitives.ReadHalfLittleEndian(bytes)),
            ('f', 4, true) => new PickledNumber(BinaryPrimitives.ReadSingleLittleEndian(bytes)),
            ('f', 8, true) => new PickledNumber(BinaryPrimitives.ReadDoubleLittleEndian(bytes)),
            ('f', 2, false) => new PickledNumber((double)BinaryPrimitives.ReadHalfBigEndian(bytes)),
            ('f', 4, false) => new PickledNumber(BinaryPrimitives.ReadSingleBigEndian(bytes)),
            ('f', 8, false) => new PickledNumber(BinaryPrimitives.ReadDoubleBigEndian(bytes)),
            _ => throw new WeightsException($"expected numpy scalars of integers, floats and booleans, found type {kind}{digit}"),
        };
    }
}

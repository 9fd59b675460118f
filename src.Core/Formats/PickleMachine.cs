using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace DQ.Core.Formats;

/// <summary>
/// Reads a pickle as data: it only builds values. A name in the pickle is only compared with those of <see cref="PickleCalls"/>. It never
/// finds or runs code outside of this program.
/// </summary>
/// <remarks>
/// Source: the description of the opcodes in CPython's <c>pickletools.py</c>, protocols 2 to 5: the opcodes that pickling data emits, with
/// those of Python 2. Others (text forms, extension codes, <c>DUP</c>) are refused. The number of values and the memory are bounded,
/// because one byte of a pickle can request a hundred.
/// </remarks>
/// <param name="pickle">The whole pickle; other bytes may follow.</param>
/// <param name="persistent">Returns the storage of a persistent id.</param>
/// <param name="admit">Refuses tensors that are implausibly large.</param>
/// <param name="further">Functions besides those of <see cref="PickleCalls"/>: returns the value, or null if the call is refused.</param>
internal sealed class PickleMachine(
    ReadOnlyMemory<byte> pickle,
    Func<PickledValue, PickledStorage> persistent,
    Action<PickledTensor> admit,
    Func<PickledGlobal, IReadOnlyList<PickledValue>, PickledValue?>? further = null
)
{
    private const int HighestProtocol = 5;
    private const int MostValues = 4_000_000;
    private const int LongestInteger = 64; // bytes

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly List<PickledValue> stack = [];
    private readonly Stack<int> marks = [];
    private readonly Dictionary<uint, PickledValue> memo = [];
    private int position;
    private int made;

    /// <summary>Length of the pickle in bytes, after it has been read. Bytes behind it are not read.</summary>
    public int Consumed => position;

    /// <exception cref="WeightsException">Not a pickle of plain data; the message lacks the file's name.</exception>
    public PickledValue Run()
    {
        var calls = new PickleCalls(admit, Charge, pickle.Length, further);
        while (true)
        {
            var at = position;
            var code = Byte();
            switch (code)
            {
                case 0x80: // PROTO
                    if (Byte() > HighestProtocol)
                        throw new WeightsException($"expected a pickle of protocol 2 to {HighestProtocol}");
                    break;
                case 0x95: // FRAME: a hint for readers of streams
                    Take(8);
                    break;
                case (byte)'.': // STOP
                    return stack.Count == 1 && marks.Count == 0
                        ? stack[0]
                        : throw new WeightsException("expected a pickle that ends with one value");
                case (byte)'(': // MARK
                    marks.Push(stack.Count);
                    Charge(1);
                    break;
                case (byte)'N':
                    Push(PickledNone.Instance);
                    break;
                case 0x88 or 0x89: // NEWTRUE, NEWFALSE
                    Push(new PickledBoolean(code == 0x88));
                    break;
                case (byte)'J': // BININT
                    Push(new PickledInteger(BinaryPrimitives.ReadInt32LittleEndian(Take(4))));
                    break;
                case (byte)'K': // BININT1
                    Push(new PickledInteger(Byte()));
                    break;
                case (byte)'M': // BININT2
                    Push(new PickledInteger(BinaryPrimitives.ReadUInt16LittleEndian(Take(2))));
                    break;
                case 0x8a or 0x8b: // LONG1, LONG4
                    Push(Long(code == 0x8a ? Byte() : Length(4)));
                    break;
                case (byte)'G': // BINFLOAT
                    Push(new PickledNumber(BinaryPrimitives.ReadDoubleBigEndian(Take(8))));
                    break;
                case 0x8c or (byte)'X' or 0x8d: // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
                    Push(new PickledText(Text(Take(code == 0x8c ? Byte() : Length(code == 'X' ? 4 : 8)))));
                    break;
                case (byte)'U' or (byte)'T': // SHORT_BINSTRING, BINSTRING: Python 2's texts
                    Push(new PickledText(Text(Take(code == 'U' ? Byte() : Length(4)))));
                    break;
                case (byte)'C' or (byte)'B' or 0x8e or 0x96: // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
                    Push(new PickledBytes(TakeMemory(code == 'C' ? Byte() : Length(code == 'B' ? 4 : 8))));
                    break;
                case (byte)']':
                    Push(new PickledSequence(PickledSequenceKind.List, []));
                    break;
                case 0x8f: // EMPTY_SET
                    Push(new PickledSequence(PickledSequenceKind.Set, []));
                    break;
                case (byte)')':
                    Push(new PickledSequence(PickledSequenceKind.Tuple, []));
                    break;
                case (byte)'}':
                    Push(new PickledDictionary());
                    break;
                case (byte)'a' or (byte)'e' or 0x90: // APPEND, APPENDS, ADDITEMS
                {
                    var items = code == 'a' ? PopLast(1) : PopMark();
                    var kind = code == 0x90 ? PickledSequenceKind.Set : PickledSequenceKind.List;
                    if (Peek() is not PickledSequence sequence || sequence.Kind != kind)
                        throw Wrong("a list or a set to add to", at);
                    sequence.Values.AddRange(items);
                    break;
                }
                case (byte)'s' or (byte)'u': // SETITEM, SETITEMS
                {
                    var items = code == 's' ? PopLast(2) : PopMark();
                    if (Peek() is not PickledDictionary dictionary || items.Count % 2 != 0)
                        throw Wrong("a dictionary to add pairs to", at);
                    for (var index = 0; index < items.Count; index += 2)
                        dictionary.Set(items[index], items[index + 1]);
                    break;
                }
                case (byte)'t':
                    Push(new PickledSequence(PickledSequenceKind.Tuple, PopMark()));
                    break;
                case 0x85 or 0x86 or 0x87: // TUPLE1, TUPLE2, TUPLE3
                    Push(new PickledSequence(PickledSequenceKind.Tuple, PopLast(code - 0x84)));
                    break;
                case 0x91: // FROZENSET
                    Push(new PickledSequence(PickledSequenceKind.Set, PopMark()));
                    break;
                case (byte)'c':
                    Push(PickleCalls.Global(Line(), Line()));
                    break;
                case 0x93: // STACK_GLOBAL
                    Push(
                        PopLast(2) is [PickledText module, PickledText name]
                            ? PickleCalls.Global(module.Value, name.Value)
                            : throw Wrong("a module and a name", at)
                    );
                    break;
                case (byte)'R': // REDUCE
                    Push(
                        PopLast(2) is [PickledGlobal function, PickledSequence { Kind: PickledSequenceKind.Tuple } arguments]
                            ? calls.Call(function, arguments.Values)
                            : throw Wrong("a function and its arguments", at)
                    );
                    break;
                case 0x81 or 0x92: // NEWOBJ, NEWOBJ_EX
                    Push(NewObject(PopLast(code == 0x81 ? 2 : 3), at));
                    break;
                case (byte)'b': // BUILD
                {
                    var state = PopLast(1)[0];
                    calls.Build(Peek(), state);
                    break;
                }
                case (byte)'q': // BINPUT
                    Remember(Byte());
                    break;
                case (byte)'r': // LONG_BINPUT
                    Remember(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)));
                    break;
                case 0x94: // MEMOIZE
                    Remember((uint)memo.Count);
                    break;
                case (byte)'h': // BINGET
                    Recall(Byte(), at);
                    break;
                case (byte)'j': // LONG_BINGET
                    Recall(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)), at);
                    break;
                case (byte)'Q': // BINPERSID
                    Push(persistent(PopLast(1)[0]));
                    break;
                default:
                    throw Wrong($"an opcode that pickled data has, found 0x{code:x2}", at);
            }
        }
    }

    private static PickledObject NewObject(List<PickledValue> parts, int at)
    {
        if (parts[0] is not PickledGlobal type)
            throw Wrong("a class to make an object of", at);
        // only code could interpret arguments
        return parts.Skip(1).All(part => part.Children.Count == 0 && part is PickledSequence or PickledDictionary)
            ? new PickledObject(type.Name)
            : throw PickleCalls.Refused(type);
    }

    /// Counts values that are pushed on the stack, stored or copied.
    private void Charge(int count)
    {
        made += count;
        if (made > MostValues)
            throw new WeightsException($"expected at most {MostValues} values used in the pickle");
    }

    private void Push(PickledValue value)
    {
        Charge(1);
        stack.Add(value);
    }

    private PickledValue Peek() => stack.Count > Floor ? stack[^1] : throw Underflow();

    private int Floor => marks.TryPeek(out var mark) ? mark : 0;

    private List<PickledValue> PopLast(int count) => stack.Count - Floor >= count ? Cut(stack.Count - count) : throw Underflow();

    private List<PickledValue> PopMark() => marks.TryPop(out var mark) ? Cut(mark) : throw Underflow();

    private List<PickledValue> Cut(int start)
    {
        var values = stack.GetRange(start, stack.Count - start);
        stack.RemoveRange(start, values.Count);
        return values;
    }

    private void Remember(uint index)
    {
        Charge(1);
        memo[index] = Peek();
    }

    private void Recall(uint index, int at) =>
        Push(memo.TryGetValue(index, out var value) ? value : throw Wrong($"a value remembered as {index}", at));

    private byte Byte() => Take(1)[0];

    private ReadOnlySpan<byte> Take(int count) => TakeMemory(count).Span;

    private ReadOnlyMemory<byte> TakeMemory(int count)
    {
        if (count > pickle.Length - position)
            throw new WeightsException($"expected a complete pickle, it ends after {pickle.Length} bytes");
        position += count;
        return pickle.Slice(position - count, count);
    }

    private int Length(int bytes)
    {
        var length = bytes == 4 ? BinaryPrimitives.ReadUInt32LittleEndian(Take(4)) : BinaryPrimitives.ReadUInt64LittleEndian(Take(8));
        return length <= (ulong)pickle.Length
            ? (int)length
            : throw new WeightsException($"expected a length within the pickle, found {length}");
    }

    private PickledInteger Long(int bytes) =>
        bytes <= LongestInteger
            ? new(new BigInteger(Take(bytes)))
            : throw new WeightsException($"expected integers of at most {LongestInteger} bytes, found one of {bytes}");

    private string Line()
    {
        var length = pickle.Span[position..].IndexOf((byte)'\n');
        if (length < 0)
            throw new WeightsException("expected a complete pickle, it ends within a name");
        var line = Text(Take(length));
        position++;
        return line;
    }

    private static string Text(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Utf8.GetString(bytes);
        }
        catch (DecoderFallbackException error)
        {
            throw new WeightsException("expected texts in UTF-8", error);
        }
    }

    private static WeightsException Underflow() => new("expected a pickle that takes no more values than it makes");

    private static WeightsException Wrong(string expected, int at) => new($"expected {expected} at byte {at} of the pickle");
}

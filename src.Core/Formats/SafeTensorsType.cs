using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>The element types of safetensors files that this libtorch supports, by their names in the header.</summary>
internal static class SafeTensorsType
{
    private static readonly (string Name, ScalarType Type, int Bytes, Type? Clr)[] Known =
    [
        ("F64", ScalarType.Float64, 8, typeof(double)),
        ("F32", ScalarType.Float32, 4, typeof(float)),
        ("F16", ScalarType.Float16, 2, null),
        ("BF16", ScalarType.BFloat16, 2, null),
        ("I64", ScalarType.Int64, 8, typeof(long)),
        ("I32", ScalarType.Int32, 4, typeof(int)),
        ("I16", ScalarType.Int16, 2, null),
        ("I8", ScalarType.Int8, 1, null),
        ("U8", ScalarType.Byte, 1, typeof(byte)),
        ("BOOL", ScalarType.Bool, 1, null),
    ];

    public static string Names => string.Join(", ", Known.Select(known => known.Name));

    public static bool TryParse(string? name, out ScalarType type)
    {
        var index = Array.FindIndex(Known, known => known.Name == name);
        type = index < 0 ? default : Known[index].Type;
        return index >= 0;
    }

    /// <exception cref="ArgumentException">The format has no such type (complex and quantized ones).</exception>
    public static string NameOf(ScalarType type) => Find(type).Name;

    /// <summary>Bytes of one element.</summary>
    public static int BytesOf(ScalarType type) => Find(type).Bytes;

    /// <summary>The .NET type of an array of such elements; null if such arrays are not read.</summary>
    public static Type? ClrTypeOf(ScalarType type) => Find(type).Clr;

    private static (string Name, ScalarType Type, int Bytes, Type? Clr) Find(ScalarType type)
    {
        var index = Array.FindIndex(Known, known => known.Type == type);
        return index >= 0 ? Known[index] : throw new ArgumentException($"expected a tensor of one of {Names}, got {type}");
    }
}

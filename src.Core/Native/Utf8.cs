using System.Text;

namespace DQ.Core.Native;

internal static class Utf8
{
    /// <summary>The text as C's functions take it, with a zero at its end.</summary>
    public static byte[] Terminated(string text) => Encoding.UTF8.GetBytes(text + '\0');
}

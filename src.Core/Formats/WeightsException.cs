namespace DQ.Core.Formats;

/// <summary>A weights file cannot be used; the message is one line naming the file and what was expected of it.</summary>
public sealed class WeightsException(string message, Exception? inner = null) : Exception(message, inner)
{
    private const int LongestQuote = 100;

    /// <summary>A text from a file for a message: shortened to one line, in quotes.</summary>
    internal static string Quote(string text)
    {
        var shown = text.Length > LongestQuote ? $"{text[..LongestQuote]}…" : text;
        return $"'{string.Concat(shown.Select(letter => char.IsControl(letter) ? '·' : letter))}'";
    }
}

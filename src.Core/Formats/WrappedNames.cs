namespace DQ.Core.Formats;

/// <summary>
/// Removes the prefixes of wrappers from the names of tensors: PyTorch's data parallelism (<c>module.</c>), its compiler
/// (<c>_orig_mod.</c>), and modules that contain the model (<c>model.</c>), in any order.
/// </summary>
internal sealed class WrappedNames
{
    private const string HolderPrefix = "model.";

    private static readonly string[] Prefixes = ["module.", "_orig_mod.", HolderPrefix];

    private readonly Dictionary<string, string> stored;

    /// <param name="names">Names as stored.</param>
    public WrappedNames(IEnumerable<string> names)
    {
        stored = names.ToDictionary(name => name, StringComparer.Ordinal);
        var (prefix, notes) = ("", new List<string>());
        while (Next() is { } next)
        {
            var kept = stored.Where(entry => entry.Key.StartsWith(next, StringComparison.Ordinal)).ToList();
            if (stored.Keys.FirstOrDefault(name => !name.StartsWith(next, StringComparison.Ordinal)) is { } other)
                notes.Add(
                    $"{stored.Count - kept.Count} tensors beside those of '{prefix}{next}' are not read, such as {WeightsException.Quote(other)}"
                );
            stored = kept.ToDictionary(entry => entry.Key[next.Length..], entry => entry.Value, StringComparer.Ordinal);
            prefix += next;
        }
        if (prefix != "")
            notes.Insert(0, $"names in the file begin with '{prefix}', which is left out");
        Notes = notes;
    }

    /// <summary>Stored names by the names without prefixes.</summary>
    public IReadOnlyDictionary<string, string> Stored => stored;

    /// <summary>The removed prefixes, one line each.</summary>
    public IReadOnlyList<string> Notes { get; }

    /// The prefix of all remaining names. If other tensors are stored beside the model, its prefix need not be that of all names.
    private string? Next() =>
        Prefixes.FirstOrDefault(prefix =>
            stored.Count > 0 && stored.Keys.All(name => name.StartsWith(prefix, StringComparison.Ordinal) && name.Length > prefix.Length)
        )
        ?? (
            stored.Keys.Any(name => name.StartsWith(HolderPrefix, StringComparison.Ordinal) && name.Length > HolderPrefix.Length)
                ? HolderPrefix
                : null
        );
}

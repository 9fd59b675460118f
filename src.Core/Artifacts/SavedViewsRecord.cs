namespace DQ.Core.Artifacts;

/// <summary><c>views.json</c>: views of the site's pages that were saved under a name.</summary>
public sealed record SavedViewsRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Sorted by name, which is unique.</summary>
    public required IReadOnlyList<SavedView> Views { get; init; }
}

/// <summary>A page as it was when it was saved.</summary>
/// <param name="Name">1 to <see cref="NameLength"/> characters, no control characters.</param>
/// <param name="Page">Path of the page below the site's base; empty for the table of runs.</param>
/// <param name="Query">Its query with the question mark; empty for none.</param>
public sealed record SavedView(string Name, string Page, string Query)
{
    public const int NameLength = 60;
    public const int QueryLength = 16_000;

    /// <summary>The view, if all of it is valid.</summary>
    /// <exception cref="ArgumentException">It is not; the message has what was expected.</exception>
    public SavedView Checked()
    {
        var name = Name.Trim();
        if (name.Length is 0 or > NameLength || name.Any(char.IsControl))
            throw new ArgumentException($"expected a name of 1 to {NameLength} characters, got '{name}'");
        if (Query.Length > QueryLength)
            throw new ArgumentException($"expected an address of at most {QueryLength} characters, got {Query.Length}");
        return this with { Name = name };
    }
}

namespace DQ.Core.Artifacts;

/// <summary><c>annotations.json</c>: the users' remarks on runs. They never change the runs.</summary>
public sealed record AnnotationsRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Annotations by run id; a run without an annotation has no entry.</summary>
    public required IReadOnlyDictionary<string, RunAnnotation> Runs { get; init; }
}

/// <summary>The annotation of one run.</summary>
public sealed record RunAnnotation
{
    public static RunAnnotation None { get; } = new();

    /// <summary>Tags, sorted and unique, each of at most <see cref="TagLength"/> characters, no control characters, no commas.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>A note: any text of at most <see cref="NoteLength"/> characters.</summary>
    public string Note { get; init; } = "";

    /// <summary>Whether lists leave the run out by default.</summary>
    public bool Archived { get; init; }

    public const int TagLength = 40;
    public const int NoteLength = 10_000;

    public bool IsEmpty => Tags.Count == 0 && Note.Length == 0 && !Archived;

    /// <summary>The annotation with some tags added and others removed.</summary>
    /// <exception cref="ArgumentException">A tag is not valid; the message has what was expected.</exception>
    public RunAnnotation Tagged(IEnumerable<string> added, IEnumerable<string> removed) =>
        this with
        {
            Tags = [.. Tags.Concat(added.Select(Tag)).Except(removed.Select(tag => tag.Trim())).Distinct().Order(StringComparer.Ordinal)],
        };

    /// <exception cref="ArgumentException">The text is too long.</exception>
    public RunAnnotation Noted(string note) =>
        note.Length <= NoteLength
            ? this with
            {
                Note = note.Trim(),
            }
            : throw new ArgumentException($"expected a note of at most {NoteLength} characters, got {note.Length}");

    /// <summary>The annotation, archived or not.</summary>
    public RunAnnotation Filed(bool archived) => this with { Archived = archived };

    private static string Tag(string text)
    {
        var tag = text.Trim();
        return tag.Length is > 0 and <= TagLength && !tag.Any(c => char.IsControl(c) || c == ',')
            ? tag
            : throw new ArgumentException($"expected a tag of 1 to {TagLength} characters without commas, got '{tag}'");
    }
}

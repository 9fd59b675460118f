namespace DQ.Core.Artifacts;

/// <summary>An artifact that can't be read: names the file and what was expected.</summary>
public sealed class ArtifactException(string message, Exception? inner = null) : Exception(message, inner);

namespace DQ.Core.Artifacts;

/// <summary>An artifact can't be read; the message names the file and what was expected.</summary>
public sealed class ArtifactException(string message, Exception? inner = null) : Exception(message, inner);

namespace DQ.Core.Artifacts;

/// <summary><c>failure.json</c> of a sweep's cell: why it has no result.</summary>
/// <param name="Schema">Version of the file format.</param>
/// <param name="Reason">Reason, one line.</param>
/// <param name="ExitCode">The exit code that <c>dq run</c> would have had.</param>
/// <param name="FailedUtc">Time of the failure.</param>
public sealed record CellFailureRecord(int Schema, string Reason, int ExitCode, DateTime FailedUtc) : IArtifact
{
    public static int CurrentSchema => 1;
}

namespace DQ.Core.Artifacts;

/// <summary><c>failure.json</c> of a sweep's cell: why it gave no result.</summary>
/// <param name="Schema">Version of this form.</param>
/// <param name="Reason">One line.</param>
/// <param name="ExitCode">What <c>dq run</c> would have ended with.</param>
/// <param name="FailedUtc">When.</param>
public sealed record CellFailureRecord(int Schema, string Reason, int ExitCode, DateTime FailedUtc) : IArtifact
{
    public static int CurrentSchema => 1;
}

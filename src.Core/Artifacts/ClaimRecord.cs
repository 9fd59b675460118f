namespace DQ.Core.Artifacts;

/// <summary>
/// <c>claim-….json</c> of a sweep's cell: the process that works on it, or worked on it. Claims are numbered and never removed; the highest
/// number is valid.
/// </summary>
/// <param name="Schema">Version of the file format.</param>
/// <param name="Owner">Process and heartbeat.</param>
/// <param name="ClaimedUtc">Time at which the owner took the cell.</param>
/// <param name="ReleasedUtc">Time at which the owner released the cell; null while it works, or if it died.</param>
public sealed record ClaimRecord(int Schema, LockRecord Owner, DateTime ClaimedUtc, DateTime? ReleasedUtc) : IArtifact
{
    public static int CurrentSchema => 1;

    /// <summary>Whether the owner of this claim still works on the cell.</summary>
    public bool IsHeld(DateTime nowUtc) => ReleasedUtc is null && Owner.HasLivingOwner(nowUtc);

    /// <summary>The same claim with a heartbeat of this time.</summary>
    public ClaimRecord At(DateTime nowUtc) => this with { Owner = Owner.At(nowUtc) };

    /// <summary>The same claim, released.</summary>
    public ClaimRecord Released(DateTime nowUtc) => At(nowUtc) with { ReleasedUtc = nowUtc };
}

namespace DQ.Core.Artifacts;

/// <summary>
/// <c>claim-….json</c> of a sweep's cell: who works on it, or did. Claims are numbered and never removed; the highest is the one that counts.
/// </summary>
/// <param name="Schema">Version of this form.</param>
/// <param name="Owner">Process and heartbeat.</param>
/// <param name="ClaimedUtc">When the owner took it.</param>
/// <param name="ReleasedUtc">When the owner let go of it; null while it works, and where it died.</param>
public sealed record ClaimRecord(int Schema, LockRecord Owner, DateTime ClaimedUtc, DateTime? ReleasedUtc) : IArtifact
{
    public static int CurrentSchema => 1;

    /// <summary>Whether somebody works on the cell under this claim.</summary>
    public bool IsHeld(DateTime nowUtc) => ReleasedUtc is null && Owner.HasLivingOwner(nowUtc);

    /// <summary>The same claim with a heartbeat of this time.</summary>
    public ClaimRecord At(DateTime nowUtc) => this with { Owner = Owner.At(nowUtc) };

    /// <summary>The same claim, let go of.</summary>
    public ClaimRecord Released(DateTime nowUtc) => At(nowUtc) with { ReleasedUtc = nowUtc };
}

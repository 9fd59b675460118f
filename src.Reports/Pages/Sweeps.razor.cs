using DQ.Reports.Catalog;
using DQ.Reports.Sweeps;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>All sweeps.</summary>
public sealed partial class Sweeps
{
    private IReadOnlyList<SweepEntry> sweeps = [];

    [Inject]
    private RecordCache Records { get; set; } = null!;

    protected override void Update() => sweeps = SweepEntry.All(Records);
}

namespace DQ.Reports.Pages;

/// <summary>Parts of a run's page, each with an address.</summary>
public static class RunTabs
{
    public const string Overview = "";
    public const string Reconstructions = "reconstructions";
    public const string Codebooks = "codebooks";
    public const string Allocation = "allocation";
    public const string Settings = "settings";
    public const string Files = "files";

    public static IReadOnlyList<(string Key, string Label)> All { get; } =
    [(Overview, "Overview"), (Reconstructions, "Reconstructions"), (Codebooks, "Codebooks"), (Settings, "Settings"), (Files, "Files")];
}

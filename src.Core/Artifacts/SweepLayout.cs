namespace DQ.Core.Artifacts;

/// <summary>Names of the files and folders of a sweep, inside the artifacts folder and inside its own.</summary>
public static class SweepLayout
{
    public const string Sweeps = "sweeps";
    public const string Sweep = "sweep.json";
    public const string SummaryCsv = "summary.csv";
    public const string SummaryMarkdown = "summary.md";

    /// <summary>Folder with a folder per cell, named by its number: its claims, and the reason of a failure.</summary>
    public const string Cells = "cells";

    /// <summary>File inside a cell's folder.</summary>
    public const string Failure = "failure.json";
}

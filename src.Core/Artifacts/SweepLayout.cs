namespace DQ.Core.Artifacts;

/// <summary>Names of the files and folders of a sweep, inside the artifacts folder and inside its own.</summary>
public static class SweepLayout
{
    public const string Sweeps = "sweeps";
    public const string Sweep = "sweep.json";
    public const string SummaryCsv = "summary.csv";
    public const string SummaryMarkdown = "summary.md";

    /// <summary>A folder per cell, by its number: who claimed it, and why it failed.</summary>
    public const string Cells = "cells";

    /// <summary>Inside a cell's folder.</summary>
    public const string Failure = "failure.json";
}

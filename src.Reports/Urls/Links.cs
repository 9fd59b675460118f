using DQ.Core.Artifacts;

namespace DQ.Reports.Urls;

/// <summary>Every address of the site. All are relative to its base, so that it works below a path too.</summary>
public static class Links
{
    public const string Runs = "";
    public const string Compare = "compare";
    public const string Sweeps = "sweeps";
    public const string Chains = "chains";

    public static string Run(string id, string? tab = null) =>
        $"runs/{Uri.EscapeDataString(id)}{(string.IsNullOrEmpty(tab) ? "" : $"/{tab}")}";

    /// <param name="average">Key of the setting to average over; empty for nothing.</param>
    public static string CompareRuns(IEnumerable<string> ids, string average = "") =>
        Compare + new Query().With(Names.Run, ids).With(Names.Average, average);

    public static string Sweep(string id) => $"{Sweeps}/{Uri.EscapeDataString(id)}";

    public static string Chain(string id) => $"{Chains}/{Uri.EscapeDataString(id)}";

    /// <summary>The series of a run; another version, another address.</summary>
    public static string Metrics(string run, long version) => $"data/metrics/{Uri.EscapeDataString(run)}?v={version}";

    /// <summary>A file of a run, by its path below the run's folder.</summary>
    public static string File(string run, string path) =>
        $"files/{RunLayout.Runs}/{Uri.EscapeDataString(run)}/{string.Join('/', path.Split('/').Select(Uri.EscapeDataString))}";

    /// <summary>A picture of a run: the same bytes, kept by browsers until the run changes.</summary>
    public static string Picture(string run, string path, long version) => $"{File(run, path)}?v={version}";

    /// <summary>The table of runs as CSV, filtered and sorted as the page is.</summary>
    public static string RunsCsv(Query query) => $"data/runs.csv{query}";

    /// <summary>Names in queries.</summary>
    public static class Names
    {
        public const string Search = "q";
        public const string Dataset = "data";
        public const string Method = "method";
        public const string Status = "status";
        public const string Tag = "tag";
        public const string Stage = "stage";
        public const string Archived = "archived";
        public const string Sort = "sort";
        public const string Columns = "cols";
        public const string Group = "group";
        public const string Average = "avg";
        public const string Page = "page";
        public const string Pick = "pick";
        public const string Run = "run";
        public const string Axis = "x";
        public const string Log = "log";
        public const string Smoothing = "smooth";
        public const string Zoom = "zoom";
        public const string Off = "off";
        public const string Step = "step";
        public const string View = "view";
        public const string Order = "order";
        public const string Split = "split";
        public const string Rate = "rate";
        public const string Level = "level";
        public const string Codebook = "book";
        public const string Image = "image";
        public const string Cell = "cell";
        public const string Code = "code";
    }
}

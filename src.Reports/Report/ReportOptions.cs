namespace DQ.Reports.Report;

/// <summary>What <c>report RUN… -o FILE</c> asks for.</summary>
/// <param name="Runs">Ids, or parts of them that fit only one.</param>
/// <param name="Output">The HTML file.</param>
public sealed record ReportOptions(IReadOnlyList<string> Runs, string Output)
{
    /// <summary>The site's own options, and the report asked for; null for the site.</summary>
    public static (string[] Options, ReportOptions? Report) Split(string[] arguments)
    {
        if (arguments is not ["report", .. var rest])
            return (arguments, null);
        var (options, runs, output) = (new List<string>(), new List<string>(), "report.html");
        for (var i = 0; i < rest.Length; i++)
            if (rest[i] is "-o" or "--output" && i + 1 < rest.Length)
                output = rest[++i];
            else if (rest[i].StartsWith("--", StringComparison.Ordinal) && i + 1 < rest.Length)
                options.AddRange([rest[i], rest[++i]]);
            else
                runs.Add(rest[i]);
        return ([.. options], new(runs, output));
    }
}

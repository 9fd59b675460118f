using System.Net;
using System.Text;
using DQ.Core;
using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Charts;
using DQ.Reports.Codebooks;
using DQ.Reports.Components;
using DQ.Reports.Metrics;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.FileProviders;

namespace DQ.Reports.Report;

/// <summary>Writes runs as one HTML file: styles, scripts, fonts, numbers and pictures inside, nothing fetched.</summary>
public static class ReportFile
{
    /// <summary>Entropy maps per level.</summary>
    private const int MostMaps = 12;

    /// <summary>Writes the file.</summary>
    /// <param name="services">The site's.</param>
    /// <param name="assets">Its styles, scripts and fonts.</param>
    /// <exception cref="ArtifactException">A text that fits no run or several.</exception>
    /// <exception cref="IOException">The file can't be written; what was there before is intact.</exception>
    public static async Task Write(IServiceProvider services, IFileProvider assets, IReadOnlyList<string> runs, string path)
    {
        var catalog = services.GetRequiredService<RunCatalog>();
        await catalog.Refresh();
        var found = runs.Select(id => Find(catalog.Current, id)).Distinct().ToArray();
        var html = await Render(services, assets, found);
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(html)));
    }

    private static RunEntry Find(CatalogSnapshot snapshot, string name)
    {
        var match = RunNames.Find(name, [.. snapshot.Runs.Select(run => new NamedRun(run.Id, run.Record, run.Annotation.Archived))]);
        if (match.Run is not { } run)
            throw new ArtifactException(match.Text!);
        if (match.Text is { } which)
            Console.Error.WriteLine(which);
        return snapshot.ById[run.Id];
    }

    private static async Task<string> Render(IServiceProvider services, IFileProvider assets, IReadOnlyList<RunEntry> runs)
    {
        var folder = services.GetRequiredService<ArtifactFolder>();
        var parameters = ParameterView.FromDictionary(
            new Dictionary<string, object?>
            {
                [nameof(ReportPage.Runs)] = runs,
                [nameof(ReportPage.Log)] = services.GetRequiredService<MetricsStore>(),
                [nameof(ReportPage.Pictures)] = runs.ToDictionary(run => run.Id, run => ReportPicture.Of(folder, run)),
                [nameof(ReportPage.Codebooks)] = runs.ToDictionary(run => run.Id, run => Charts(folder, run)),
            }
        );
        await using var renderer = new HtmlRenderer(services, services.GetRequiredService<ILoggerFactory>());
        var body = await renderer.Dispatcher.InvokeAsync(async () =>
            (await renderer.RenderComponentAsync<ReportPage>(parameters)).ToHtmlString()
        );
        string Text(string name) => Encoding.UTF8.GetString(Bytes(assets, name));
        string Script(string name) =>
            $"<script>{Text(name).Replace("</script", "<\\/script", StringComparison.OrdinalIgnoreCase)}</script>\n";
        string Font(string name) => $"data:font/woff2;base64,{Convert.ToBase64String(Bytes(assets, $"fonts/{name}"))}";
        var fonts = (string[])["inter-latin.woff2", "jetbrains-mono-latin.woff2"];
        var css =
            fonts.Aggregate(Text("css/site.css"), (text, name) => text.Replace($"../fonts/{name}", Font(name)))
            + Text("dq-reports.styles.css");
        return $"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{WebUtility.HtmlEncode(string.Join(", ", runs.Select(run => run.Name)))} · DQ</title>
            <style>{ReportStyle.Palettes}{css}{ReportStyle.Page}</style>
            <script>document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";</script>
            </head>
            <body>
            {body}
            {Script("lib/echarts/echarts.min.js")}{string.Concat(App.Scripts.Select(Script))}
            </body>
            </html>
            """;
    }

    private static IReadOnlyList<ChartSpec> Charts(ArtifactFolder folder, RunEntry run)
    {
        var charts = new List<ChartSpec>();
        try
        {
            for (var level = 0; CodebookView.Of(folder, run.Id, "test", level) is { } view && level < view.Levels; level++)
            {
                var where = $"level {level}, {view.Split} split";
                if (view.Histogram is { } histogram)
                    charts.Add(CodebookCharts.Ranks(histogram, $"Times chosen by codebook, {where}"));
                if (view.MutualInformation is { } information)
                    charts.Add(
                        CodebookCharts.Information(
                            $"Mutual information between codebooks, {where}, nats",
                            information,
                            Math.Max(1e-9, information.Values.Max())
                        )
                    );
                if (view.EntropyMap is { } map)
                    for (var book = 0; book < view.Level.Codebooks && book < MostMaps; book++)
                        charts.Add(
                            CodebookCharts.Entropy(map, book, view.Level.Codes) with
                            {
                                Title = $"Entropy by position, codebook {book}, {where}, nats",
                            }
                        );
            }
        }
        catch (ArtifactException)
        {
            // what can't be read is said on the site; the report shows the rest
        }
        return charts;
    }

    private static byte[] Bytes(IFileProvider assets, string name)
    {
        using var stream = assets.GetFileInfo(name).CreateReadStream();
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }
}

using System.Net.Mime;
using System.Text;
using DQ.Reports.Catalog;
using DQ.Reports.Metrics;
using DQ.Reports.Urls;

namespace DQ.Reports.Hosting;

/// <summary>What pages fetch: series, tables, pictures and files of the artifacts folder.</summary>
public static class FileEndpoints
{
    public static void MapArtifacts(this WebApplication app)
    {
        app.MapGet("/data/metrics/{run}", Metrics);
        app.MapGet("/data/runs.csv", RunsTable);
        app.MapGet("/files/{**path}", Artifact);
    }

    private static IResult Metrics(string run, MetricsStore store) =>
        store.Json(run) is { } json ? Results.Bytes(json, MediaTypeNames.Application.Json) : Results.NotFound();

    private static IResult RunsTable(HttpRequest request, RunCatalog catalog)
    {
        var view = RunsView.Of(Query.Parse(request.QueryString.Value ?? ""), catalog.Current.Runs);
        var shown = view.Apply(catalog.Current.Runs);
        var csv = view.Average.Length > 0 ? RunsCsv.Of(view.Averages(shown)) : RunsCsv.Of(shown);
        return Results.File(Encoding.UTF8.GetBytes(csv), "text/csv", "runs.csv");
    }

    private static IResult Artifact(string path, HttpContext context, ArtifactFolder folder)
    {
        if (folder.Resolve(path) is not { } file || !File.Exists(file))
            return Results.NotFound();
        var isPicture = Path.GetExtension(file).ToLowerInvariant() is ".png";
        if (isPicture && context.Request.Query.ContainsKey("v"))
            context.Response.Headers.CacheControl = "private, max-age=31536000, immutable";
        // only pictures are shown; anything else is saved, whatever a browser would make of it
        return isPicture
            ? Results.File(file, MediaTypeNames.Image.Png, enableRangeProcessing: true)
            : Results.File(file, MediaTypeNames.Application.Octet, Path.GetFileName(file), enableRangeProcessing: true);
    }
}

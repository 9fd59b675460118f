using DQ.Core.Artifacts;
using DQ.Reports.Components;
using DQ.Reports.Hosting;
using DQ.Reports.Report;

// `dq serve` and `dq report` start this program; it can be started by itself as well
var (options, report) = ReportOptions.Split(args);
WebApplicationBuilder builder;
SiteSettings settings;
try
{
    builder = Site.Builder(options, out settings);
}
catch (ArgumentException error)
{
    Console.Error.WriteLine($"dq: {error.Message}");
    return 2;
}

if (report is not null)
{
    await using var closed = builder.Build();
    try
    {
        await ReportFile.Write(closed.Services, closed.Environment.WebRootFileProvider, report.Runs, report.Output);
        Console.WriteLine(Path.GetFullPath(report.Output));
        return 0;
    }
    catch (Exception error) when (error is ArtifactException or IOException or UnauthorizedAccessException)
    {
        Console.Error.WriteLine($"dq: {error.Message}");
        return 3;
    }
}

if (ListeningAddress.Problem(settings.Urls) is { } problem)
{
    Console.Error.WriteLine($"dq: {problem}");
    return 2;
}

await using var app = builder.Build();
app.UseForwardedHeaders();
if (settings.PathBase.Length > 0)
    app.UseMiddleware<PathBase>();
app.Use(SecurityHeaders.Add);
app.UseMiddleware<TokenGate>();
app.UseMiddleware<HeadRequests>();
app.UseResponseCompression();
app.UseStatusCodePagesWithReExecute("/not-found", createScopeForStatusCodePages: true);
app.UseRouting();
app.UseAntiforgery();
app.MapStaticAssets();
app.MapArtifacts();
app.MapRazorComponents<App>().AddInteractiveServerRenderMode(mode => mode.ContentSecurityFrameAncestorsPolicy = null);
try
{
    await app.StartAsync();
}
catch (Exception error) when (error is IOException or InvalidOperationException or FormatException or System.Net.Sockets.SocketException)
{
    Console.Error.WriteLine($"dq: {settings.Urls}: can't listen there: {error.Message}");
    return 3;
}
Announcement.Print(app.Urls, settings);
await app.WaitForShutdownAsync();
return 0;

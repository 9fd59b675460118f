using DQ.Reports.Catalog;
using DQ.Reports.Components;
using DQ.Reports.Hosting;
using DQ.Reports.Metrics;
using MudBlazor.Services;

// settings of the folder that it happens to be started in are none of its
var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
builder.Configuration.AddEnvironmentVariables("DQ_").AddCommandLine(args);
var settings = SiteSettings.From(builder.Configuration);
builder.WebHost.UseUrls(settings.Urls.Split(';'));
builder.WebHost.UseStaticWebAssets();
builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
if (settings.IsLocal)
    // a name that resolves to this machine by somebody else's will is not this site
    builder.Configuration["AllowedHosts"] = "localhost;127.0.0.1;[::1]";
builder.Logging.SetMinimumLevel(LogLevel.Warning).AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Warning);

builder.Services.AddSingleton(settings);
builder.Services.AddSingleton(TimeProvider.System);
builder.Services.AddSingleton(new ArtifactFolder(settings.Artifacts));
builder.Services.AddSingleton<MetricsStore>();
builder.Services.AddSingleton<RunCatalog>();
builder.Services.AddHostedService(services => services.GetRequiredService<RunCatalog>());
builder.Services.AddMudServices();
builder.Services.AddHttpContextAccessor();
builder.Services.AddRazorComponents().AddInteractiveServerComponents();

var app = builder.Build();
app.Use(SecurityHeaders.Add);
app.UseMiddleware<TokenGate>();
app.UseStatusCodePagesWithReExecute("/not-found", createScopeForStatusCodePages: true);
app.UseAntiforgery();
app.MapStaticAssets();
app.MapArtifacts();
app.MapRazorComponents<App>().AddInteractiveServerRenderMode(options => options.ContentSecurityFrameAncestorsPolicy = null);

await app.StartAsync();
Announcement.Print(app.Urls, settings);
await app.WaitForShutdownAsync();

using System.IO.Compression;
using DQ.Reports.Catalog;
using DQ.Reports.Metrics;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.ResponseCompression;
using MudBlazor.Services;

namespace DQ.Reports.Hosting;

/// <summary>The site's services and settings.</summary>
public static class Site
{
    private static readonly string[] LocalNames = ["localhost", "127.0.0.1", "[::1]"];

    public static WebApplicationBuilder Builder(string[] arguments, out SiteSettings settings)
    {
        // settings in the folder that it happens to be started in are none of its
        var builder = WebApplication.CreateBuilder(
            new WebApplicationOptions { Args = arguments, ContentRootPath = AppContext.BaseDirectory }
        );
        builder.Configuration.AddEnvironmentVariables("DQ_").AddCommandLine(arguments);
        settings = SiteSettings.From(builder.Configuration);
        builder.WebHost.UseUrls(settings.Urls.Split(';'));
        builder.WebHost.UseStaticWebAssets();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        if (settings.IsLocal || settings.AllowedHosts.Count > 0)
            // a name that resolves to this machine by somebody else's will is not this site
            builder.Configuration["AllowedHosts"] = string.Join(';', [.. LocalNames, .. settings.AllowedHosts]);
        // of a proxy on this machine: by which scheme its visitors came
        builder.Services.Configure<ForwardedHeadersOptions>(options =>
            options.ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto
        );
        // pages hold nothing secret beside what their visitor chose, so their length tells nothing
        builder.Services.AddResponseCompression(options =>
        {
            options.EnableForHttps = true;
            // the component library's files come without their compressed forms under names that browsers keep
            options.MimeTypes = ["text/html", "text/csv", "application/json", "text/css", "text/javascript"];
        });
        builder.Services.Configure<GzipCompressionProviderOptions>(options => options.Level = CompressionLevel.Optimal);
        builder.Services.Configure<BrotliCompressionProviderOptions>(options => options.Level = CompressionLevel.Fastest);
        // where to listen is said once it does; keys are kept unencrypted because they guard nothing but forms of this machine's pages
        builder
            .Logging.SetMinimumLevel(LogLevel.Warning)
            .AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error)
            .AddFilter("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Error);

        builder.Services.AddSingleton(settings);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton(new ArtifactFolder(settings.Artifacts));
        builder.Services.AddSingleton<RecordCache>();
        builder.Services.AddSingleton<MetricsStore>();
        builder.Services.AddSingleton<RunCatalog>();
        builder.Services.AddHostedService(services => services.GetRequiredService<RunCatalog>());
        builder.Services.AddMudServices();
        builder.Services.AddRazorComponents().AddInteractiveServerComponents();
        return builder;
    }
}

using System.Net;

namespace DQ.Reports.Hosting;

/// <summary>The site's own settings: from the command line, else from <c>DQ_…</c> variables.</summary>
/// <param name="Artifacts"><c>--artifacts</c>, <c>DQ_ARTIFACTS</c>.</param>
/// <param name="Urls"><c>--urls</c>: what to listen on.</param>
/// <param name="Token">What visitors from elsewhere must know; null where only this machine can visit.</param>
public sealed record SiteSettings(string Artifacts, string Urls, string? Token)
{
    public const string DefaultUrls = "http://localhost:5080";

    /// <summary>Whether only this machine can reach the site.</summary>
    public bool IsLocal { get; } = Urls.Split(';', StringSplitOptions.RemoveEmptyEntries).All(IsLoopback);

    public static SiteSettings From(IConfiguration configuration)
    {
        var settings = new SiteSettings(
            Given(configuration, "ARTIFACTS") ?? "artifacts",
            Given(configuration, "URLS") ?? DefaultUrls,
            Given(configuration, "TOKEN")
        );
        return settings.IsLocal || settings.Token is not null
            ? settings
            : settings with
            {
                Token = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(16)),
            };
    }

    private static string? Given(IConfiguration configuration, string key) => configuration[key] is { Length: > 0 } value ? value : null;

    private static bool IsLoopback(string url) =>
        Uri.TryCreate(url.Trim(), UriKind.Absolute, out var uri)
        && (uri.IsLoopback || (IPAddress.TryParse(uri.Host, out var address) && IPAddress.IsLoopback(address)));
}

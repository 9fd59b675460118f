using System.Net;
using System.Security.Cryptography;
using System.Text;
using DQ.Core;

namespace DQ.Reports.Hosting;

/// <summary>The site's own settings: from the command line, else from <c>DQ_…</c> variables.</summary>
/// <param name="Artifacts"><c>--artifacts</c>, <c>DQ_ARTIFACTS</c>.</param>
/// <param name="Urls"><c>--urls</c>, <c>DQ_URLS</c>: what to listen on.</param>
/// <param name="PathBase"><c>--path-base</c>, <c>DQ_PATH_BASE</c>: the path below which a proxy shows the site, such as <c>/dq</c>; empty for none.</param>
/// <param name="AllowedHosts"><c>--allowed-hosts</c>, <c>DQ_ALLOWED_HOSTS</c>: names by which a proxy shows it, separated by semicolons.</param>
/// <param name="Token">What visitors from elsewhere must know; null where only this machine can visit.</param>
public sealed record SiteSettings(string Artifacts, string Urls, string PathBase, IReadOnlyList<string> AllowedHosts, string? Token)
{
    public const string DefaultUrls = "http://localhost:5080";

    /// <summary>Characters that a token must have: fewer are guessed.</summary>
    public const int ShortestToken = 16;

    private const int LargestTokenFile = 4096;

    /// <summary>Whether only this machine can reach the site.</summary>
    public bool IsLocal { get; } = AllowedHosts.Count == 0 && Urls.Split(';', StringSplitOptions.RemoveEmptyEntries).All(IsLoopback);

    /// <exception cref="ArgumentException">A setting can't be used; the message names it and what was expected.</exception>
    public static SiteSettings From(IConfiguration configuration)
    {
        var settings = new SiteSettings(
            Value(configuration, "ARTIFACTS") ?? "artifacts",
            Value(configuration, "URLS") ?? DefaultUrls,
            NormalPathBase(Value(configuration, "PATH-BASE") ?? Value(configuration, "PATH_BASE") ?? ""),
            (Value(configuration, "ALLOWED-HOSTS") ?? Value(configuration, "ALLOWED_HOSTS") ?? "").Split(
                ';',
                StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries
            ),
            ReadToken(configuration)
        );
        return settings.IsLocal || settings.Token is not null
            ? settings
            : settings with
            {
                Token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)),
            };
    }

    private static string? ReadToken(IConfiguration configuration)
    {
        var token = Value(configuration, "TOKEN");
        if ((Value(configuration, "TOKEN-FILE") ?? Value(configuration, "TOKEN_FILE")) is { } file)
            try
            {
                token = Encoding.UTF8.GetString(RegularFile.ReadAllBytes(file, LargestTokenFile)).Trim();
            }
            catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException)
            {
                throw new ArgumentException($"--token-file {file}: {error.Message}", error);
            }
        return token is null || token.Length >= ShortestToken
            ? token
            : throw new ArgumentException($"--token: expected at least {ShortestToken} characters, got {token.Length}");
    }

    private static string NormalPathBase(string path)
    {
        var inner = path.Trim('/');
        if (inner.Length == 0)
            return "";
        return inner.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.' or '~' or '/') && !inner.Contains("//")
            ? "/" + inner
            : throw new ArgumentException($"--path-base: expected a path such as /dq, got '{path}'");
    }

    private static string? Value(IConfiguration configuration, string key) => configuration[key] is { Length: > 0 } value ? value : null;

    private static bool IsLoopback(string url) =>
        Uri.TryCreate(url.Trim(), UriKind.Absolute, out var uri)
        && (uri.IsLoopback || (IPAddress.TryParse(uri.Host, out var address) && IPAddress.IsLoopback(address)));
}

namespace DQ.Reports.Hosting;

/// <summary>Addresses that the site can listen at, as far as their text tells.</summary>
public static class ListeningAddress
{
    /// <summary>What is wrong with these addresses, separated by semicolons, in one line; null where nothing is.</summary>
    public static string? Problem(string urls)
    {
        var each = urls.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return each.Length == 0
            ? $"--urls: expected an address such as {SiteSettings.DefaultUrls}, got none"
            : each.Select(OfOne).FirstOrDefault(problem => problem is not null);
    }

    // any address of this machine is written http://*:PORT or http://+:PORT
    private static string? OfOne(string url) =>
        Uri.TryCreate(url.Replace("//*", "//0.0.0.0").Replace("//+", "//0.0.0.0"), UriKind.Absolute, out var uri)
        && uri.Scheme is "http" or "https"
        && uri.Host.Length > 0
            ? null
            : $"--urls {url}: expected an address such as {SiteSettings.DefaultUrls}, with a port up to 65535";
}

namespace DQ.Reports.Hosting;

/// <summary>What is printed once the site listens.</summary>
public static class Announcement
{
    public static void Print(IEnumerable<string> urls, SiteSettings settings)
    {
        foreach (var url in urls.SelectMany(Reachable))
            Console.WriteLine(url + settings.PathBase + (settings.Token is { } token ? $"/?token={token}" : ""));
        Console.WriteLine($"shows {Path.GetFullPath(settings.Artifacts)}; Ctrl-C ends it");
    }

    /// <summary>Addresses that open: all of a machine's addresses are none, so its names stand for them.</summary>
    private static IEnumerable<string> Reachable(string url)
    {
        var uri = new Uri(url.Replace("//*", "//0.0.0.0", StringComparison.Ordinal).Replace("//+", "//0.0.0.0", StringComparison.Ordinal));
        return uri.Host is "0.0.0.0" or "[::]"
            ? [$"{uri.Scheme}://localhost:{uri.Port}", $"{uri.Scheme}://{Environment.MachineName}:{uri.Port}"]
            : [url];
    }
}

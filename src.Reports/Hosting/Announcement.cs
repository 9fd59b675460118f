namespace DQ.Reports.Hosting;

/// <summary>What is said once the site listens.</summary>
public static class Announcement
{
    public static void Print(IEnumerable<string> urls, SiteSettings settings)
    {
        foreach (var url in urls)
            Console.WriteLine($"{url}{(settings.Token is { } token ? $"/?token={token}" : "")}");
        Console.WriteLine($"shows {Path.GetFullPath(settings.Artifacts)}; Ctrl-C ends it");
    }
}

namespace DQ.Reports.Hosting;

/// <summary>
/// Shows the site below a path of a proxy, whether the proxy passes that path on or takes it away: links are made below it in any case.
/// </summary>
public sealed class PathBase(RequestDelegate next, SiteSettings settings)
{
    private readonly PathString path = settings.PathBase;

    public Task Invoke(HttpContext context)
    {
        if (context.Request.Path.StartsWithSegments(path, out var below))
            context.Request.Path = below.HasValue ? below : "/";
        context.Request.PathBase = path;
        return next(context);
    }
}

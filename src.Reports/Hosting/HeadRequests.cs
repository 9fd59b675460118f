namespace DQ.Reports.Hosting;

/// <summary>Answers HEAD as GET, which is what pages and files are mapped for: the server sends no body after a request of this method.</summary>
public sealed class HeadRequests(RequestDelegate next)
{
    public Task Invoke(HttpContext context)
    {
        if (HttpMethods.IsHead(context.Request.Method))
            context.Request.Method = HttpMethods.Get;
        return next(context);
    }
}

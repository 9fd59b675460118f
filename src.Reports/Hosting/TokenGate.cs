using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DQ.Reports.Urls;
using Microsoft.Extensions.Primitives;

namespace DQ.Reports.Hosting;

/// <summary>
/// Lets in who knows the token, where there is one: once as <c>?token=</c>, from then on by a cookie. Requests that another site's page
/// makes are refused in any case.
/// </summary>
public sealed class TokenGate(RequestDelegate next, SiteSettings settings)
{
    private const string Parameter = "token";

    public Task Invoke(HttpContext context)
    {
        var request = context.Request;
        if (request.Headers.Origin is [var origin] && !IsOwn(origin, request))
            return Refuse(context, StatusCodes.Status403Forbidden, "This request comes from another site.");
        if (settings.Token is not { } token)
            return next(context);
        var isKnown = Same(request.Cookies[CookieName(request)], token);
        // names in queries are compared without case here, and below
        var offered = request.Query[Parameter];
        if (!isKnown && !offered.Any(value => Same(value, token)))
            return Refuse(
                context,
                StatusCodes.Status401Unauthorized,
                "Open the address that was printed where the site was started: it ends in ?token=…"
            );
        if (StringValues.IsNullOrEmpty(offered) && isKnown)
            return next(context);
        if (!isKnown)
            context.Response.Cookies.Append(CookieName(request), token, Options(request));
        // a token stays neither in the address bar nor in the history nor in links; some browsers repeat the first request with the cookie
        context.Response.Redirect(OwnAddress(request));
        return Task.CompletedTask;
    }

    /// <summary>Cookies know hosts and not ports: two sites of one machine must not take each other's.</summary>
    private static string CookieName(HttpRequest request) =>
        string.Create(CultureInfo.InvariantCulture, $"dq-token-{request.Host.Port ?? (request.IsHttps ? 443 : 80)}");

    private static CookieOptions Options(HttpRequest request) =>
        new()
        {
            HttpOnly = true,
            // strict would refuse whoever follows a link from a chat
            SameSite = SameSiteMode.Lax,
            Secure = request.IsHttps,
            IsEssential = true,
            Path = request.PathBase.HasValue ? request.PathBase.Value : "/",
        };

    /// <summary>The address asked for without its token. <c>//elsewhere/x</c> would be an address of another site.</summary>
    private static string OwnAddress(HttpRequest request)
    {
        var path = new PathString("/" + (request.Path.Value ?? "").TrimStart('/', '\\'));
        return request.PathBase.ToUriComponent() + path.ToUriComponent() + Query.Parse(request.QueryString.Value ?? "").Without(Parameter);
    }

    private static bool IsOwn(string? origin, HttpRequest request) =>
        Uri.TryCreate(origin, UriKind.Absolute, out var uri)
        && Uri.TryCreate($"{uri.Scheme}://{request.Host.Value}", UriKind.Absolute, out var own)
        && string.Equals(uri.Authority, own.Authority, StringComparison.OrdinalIgnoreCase);

    private static bool Same(string? offered, string token) =>
        offered is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(offered), Encoding.UTF8.GetBytes(token));

    private static Task Refuse(HttpContext context, int status, string why)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(why + "\n");
    }
}

using System.Security.Cryptography;
using System.Text;
using DQ.Reports.Urls;

namespace DQ.Reports.Hosting;

/// <summary>
/// Lets in who knows the token, where there is one: once as <c>?token=</c>, from then on by a cookie. Requests that another site's page
/// makes are refused in any case.
/// </summary>
public sealed class TokenGate(RequestDelegate next, SiteSettings settings)
{
    private const string Cookie = "dq-token";
    private const string Parameter = "token";

    public Task Invoke(HttpContext context)
    {
        var request = context.Request;
        if (request.Headers.Origin is [var origin] && !IsOwn(origin, request))
            return Refuse(context, StatusCodes.Status403Forbidden, "This request comes from another site.");
        if (settings.Token is not { } token || Same(request.Cookies[Cookie], token))
            return next(context);
        if (!Same(request.Query[Parameter], token))
            return Refuse(
                context,
                StatusCodes.Status401Unauthorized,
                "Open the address that was printed where the site was started: it ends in ?token=…"
            );
        context.Response.Cookies.Append(
            Cookie,
            token,
            new()
            {
                HttpOnly = true,
                SameSite = SameSiteMode.Strict,
                Secure = request.IsHttps,
                IsEssential = true,
            }
        );
        // not kept in the history, nor sent on
        context.Response.Redirect(request.PathBase + request.Path + Query.Parse(request.QueryString.Value ?? "").With(Parameter));
        return Task.CompletedTask;
    }

    private static bool IsOwn(string? origin, HttpRequest request) =>
        Uri.TryCreate(origin, UriKind.Absolute, out var uri)
        && string.Equals(
            uri.Authority,
            new UriBuilder("http://" + request.Host.Value) { Scheme = uri.Scheme }
                .Uri
                .Authority,
            StringComparison.OrdinalIgnoreCase
        );

    private static bool Same(string? given, string token) =>
        given is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given), Encoding.UTF8.GetBytes(token));

    private static Task Refuse(HttpContext context, int status, string why)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsync(why + "\n");
    }
}

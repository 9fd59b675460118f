namespace DQ.Reports.Hosting;

/// <summary>Headers that keep a page to what this site sends it: no foreign scripts, no inline scripts, no framing.</summary>
public static class SecurityHeaders
{
    /// <summary>Styles may be inline because MudBlazor places its elements so.</summary>
    private const string Policy =
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
        + "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

    public static Task Add(HttpContext context, RequestDelegate next)
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        // so that the very first page is dark where the browser is
        headers["Accept-CH"] = Theme.Hint;
        headers["Critical-CH"] = Theme.Hint;
        headers.Vary = Theme.Hint;
        return next(context);
    }
}

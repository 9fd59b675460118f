namespace DQ.Reports.Hosting;

/// <summary>Dark or light: what was chosen, else what the browser says.</summary>
public static class Theme
{
    public const string Cookie = "dq-theme";
    public const string Hint = "Sec-CH-Prefers-Color-Scheme";

    public static bool IsDark(HttpContext? context) =>
        context?.Request.Cookies[Cookie] switch
        {
            "dark" => true,
            "light" => false,
            _ => context?.Request.Headers[Hint].ToString().Contains("dark", StringComparison.Ordinal) ?? false,
        };
}

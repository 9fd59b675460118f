using System.Text;
using DQ.Reports.Components.Layout;
using MudBlazor;

namespace DQ.Reports.Report;

/// <summary>The site's colours without MudBlazor, and the little that only a report has.</summary>
public static class ReportStyle
{
    public const string Page = """

        body { margin: 0; font: 0.875rem/1.5 Inter, system-ui, sans-serif; color: var(--mud-palette-text-primary); background: var(--mud-palette-background); }
        * { box-sizing: border-box; }
        .report { max-width: 1280px; margin: 0 auto; padding: 32px 24px 64px; }
        .report h3 { margin: 20px 0 4px; }
        .report .card h3 { margin: 0; }
        .report .run { padding-top: 20px; border-top: 1px solid var(--line); }
        .report .run .grid { grid-template-columns: repeat(auto-fill, minmax(min(100%, 360px), 1fr)); margin-top: 8px; }
        .report .headlines { margin: 14px 0; }
        .report .differs { font-weight: 650; }
        .report details { margin-top: 16px; }
        .sheet { position: absolute; inset: 0; width: 100%; height: 100%; image-rendering: pixelated; }
        """;

    /// <summary>Light and dark, as the reader's browser asks.</summary>
    public static string Palettes =>
        $":root{{{Of(SiteTheme.Instance.PaletteLight)}}}:root[data-theme=dark]{{{Of(SiteTheme.Instance.PaletteDark)}}}\n";

    private static string Of(Palette palette)
    {
        var text = new StringBuilder();
        foreach (
            var (name, color) in (ReadOnlySpan<(string, MudBlazor.Utilities.MudColor)>)
                [
                    ("primary", palette.Primary),
                    ("primary-text", palette.PrimaryContrastText),
                    ("text-primary", palette.TextPrimary),
                    ("text-secondary", palette.TextSecondary),
                    ("background", palette.Background),
                    ("background-gray", palette.BackgroundGray),
                    ("surface", palette.Surface),
                    ("divider", palette.Divider),
                    ("table-lines", palette.TableLines),
                    ("success", palette.Success),
                    ("warning", palette.Warning),
                    ("error", palette.Error),
                    ("info", palette.Info),
                ]
        )
            text.Append("--mud-palette-").Append(name).Append(':').Append(color).Append(';');
        return text.ToString();
    }
}

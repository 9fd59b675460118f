using MudBlazor;

namespace DQ.Reports.Components.Layout;

/// <summary>Colours and type of the site. Text on its ground has a contrast of at least 4.5 in both palettes.</summary>
public static class SiteTheme
{
    private static readonly string[] Sans = ["Inter", "system-ui", "sans-serif"];

    public static MudTheme Instance { get; } =
        new()
        {
            PaletteLight = new PaletteLight
            {
                Primary = "#3b4fd1",
                PrimaryContrastText = "#ffffff",
                Secondary = "#0b7285",
                Background = "#f6f7f9",
                BackgroundGray = "#eef0f4",
                Surface = "#ffffff",
                AppbarBackground = "#ffffff",
                AppbarText = "#1a1f29",
                TextPrimary = "#1a1f29",
                TextSecondary = "#545d6e",
                TextDisabled = "#6b7484",
                ActionDefault = "#545d6e",
                Divider = "#e2e5ea",
                LinesDefault = "#e2e5ea",
                LinesInputs = "#868fa0",
                TableLines = "#e8eaee",
                Success = "#1f7a3a",
                Warning = "#96540a",
                Error = "#c22626",
                Info = "#2563b8",
            },
            PaletteDark = new PaletteDark
            {
                Primary = "#9db0ff",
                PrimaryContrastText = "#10131a",
                Secondary = "#5cc8dc",
                Background = "#0e1117",
                BackgroundGray = "#151922",
                Surface = "#161b24",
                AppbarBackground = "#12161e",
                AppbarText = "#e8ebf1",
                TextPrimary = "#e8ebf1",
                TextSecondary = "#a3adbd",
                TextDisabled = "#8b95a6",
                ActionDefault = "#a3adbd",
                Divider = "#2a313d",
                LinesDefault = "#2a313d",
                LinesInputs = "#6b7587",
                TableLines = "#232a35",
                Success = "#6bd08c",
                Warning = "#f0b35c",
                Error = "#ff8f8f",
                Info = "#85b8ff",
            },
            LayoutProperties = new() { DefaultBorderRadius = "8px", AppbarHeight = "52px" },
            Typography = new()
            {
                Default = new DefaultTypography
                {
                    FontFamily = Sans,
                    FontSize = ".875rem",
                    LineHeight = "1.5",
                    LetterSpacing = "0",
                },
                Button = new ButtonTypography
                {
                    FontFamily = Sans,
                    FontWeight = "550",
                    TextTransform = "none",
                    LetterSpacing = "0",
                },
            },
        };
}

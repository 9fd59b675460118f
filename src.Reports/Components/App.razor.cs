using DQ.Reports.Hosting;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;

namespace DQ.Reports.Components;

/// <summary>The page around all pages.</summary>
public sealed partial class App
{
    /// <summary>In the order they need each other; the library of charts is fetched by the first that draws.</summary>
    public static IReadOnlyList<string> Scripts { get; } =
    [
        "js/format.js",
        "js/look.js",
        "js/chart.js",
        "js/kinds/shared.js",
        "js/kinds/bars.js",
        "js/kinds/heatmap.js",
        "js/kinds/lines.js",
        "js/kinds/plane.js",
        "js/curves/numbers.js",
        "js/curves/averages.js",
        "js/curves/hover.js",
        "js/curves/lines.js",
        "js/curves/option.js",
        "js/curves.js",
        "js/elements.js",
        "js/pictures.js",
        "js/tables.js",
        "js/reconnect.js",
    ];

    [CascadingParameter]
    private HttpContext? Context { get; set; }

    private static IComponentRenderMode InteractiveServer => RenderMode.InteractiveServer;

    private bool Dark => Theme.IsDark(Context);

    private string Base => $"{Context?.Request.PathBase}/";
}

using System.Globalization;
using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Codebooks;
using DQ.Reports.Pictures;
using DQ.Reports.Text;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>Which code stands where in an image, and what else chose it.</summary>
public sealed partial class CodeExplorer
{
    private const int CodesPerPage = 48;

    private readonly List<string> problems = [];
    private CodeMap? map;
    private PatchAtlas? atlas;
    private AtlasLevel? atlasLevel;
    private SampleSet? samples;
    private IReadOnlyList<int> shown = [];
    private int image;
    private int atlasPage = 1;
    private int atlasPages;
    private int? code;
    private string? cell;
    private (string, long, int) readFor;

    [Parameter, EditorRequired]
    public RunEntry Run { get; set; } = null!;

    [Parameter, EditorRequired]
    public Query Query { get; set; } = null!;

    [Parameter, EditorRequired]
    public Action<string, string?> Set { get; set; } = null!;

    [Parameter, EditorRequired]
    public int Level { get; set; }

    [Parameter, EditorRequired]
    public int Codebook { get; set; }

    /// <summary>Codes in use; null where that is not known.</summary>
    [Parameter]
    public IReadOnlySet<int>? Used { get; set; }

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    protected override void OnParametersSet()
    {
        if (readFor != (Run.Id, Run.Version, Level))
            Read();
        image = Query.Number(Links.Names.Image, 0, 0, Math.Max(0, (map?.Images ?? 1) - 1));
        cell = Query[Links.Names.Cell] is { } said && CellsOf(map).Contains(said) ? said : null;
        code = int.TryParse(Query[Links.Names.Code], CultureInfo.InvariantCulture, out var chosen) && chosen >= 0 ? chosen : null;
        if (map is not null && Codebook >= map.Codes.Shape[1])
            map = null;
        // a dead code has no patches to show
        shown =
        [
            .. (atlasLevel?.Codebooks.FirstOrDefault(one => one.Codebook == Codebook)?.Codes ?? []).Where(one =>
                Used?.Contains(one) ?? true
            ),
        ];
        atlasPages = (shown.Count + CodesPerPage - 1) / CodesPerPage;
        atlasPage = Query.Number(Links.Names.Page, 1, 1, Math.Max(1, atlasPages));
    }

    private void Read()
    {
        problems.Clear();
        readFor = (Run.Id, Run.Version, Level);
        (map, atlas, atlasLevel) = (null, null, null);
        samples = SampleSets.Of(Folder, Run).Evaluated;
        try
        {
            map = CodeMap.Of(Folder, Run.Id, Level);
            atlas = PatchAtlas.Of(Folder, Run);
            atlasLevel = atlas?.Level(Level);
        }
        catch (ArtifactException problem)
        {
            problems.Add(Folder.Short(problem.Message));
        }
    }

    private static IEnumerable<string> CellsOf(CodeMap? map) =>
        map is null
            ? []
            : from row in Enumerable.Range(0, map.Height)
            from column in Enumerable.Range(0, map.Width)
            select $"{row}-{column}";

    private string NameOf(int at) =>
        samples is not null && at < samples.Record.Images.Count
            ? $"#{samples.Record.Images[at].Index} ({samples.Record.Images[at].Selection})"
            : $"#{at}";

    private IReadOnlyList<string> Patches(int wanted) =>
        atlasLevel is null || atlas is null ? [] : atlas.Patches(atlasLevel, Codebook, wanted);

    private IEnumerable<int> AtlasCodes() => shown.Skip((atlasPage - 1) * CodesPerPage).Take(CodesPerPage);

    /// The one cell that the tab key stops at: the chosen one, else the first.
    private bool IsEntry(int row, int column) => cell is null ? (row, column) == (0, 0) : cell == $"{row}-{column}";

    private string Times(int wanted)
    {
        var here = Enumerable
            .Range(0, map!.Height * map.Width)
            .Count(at => map.At(image, Codebook, at / map.Width, at % map.Width) == wanted);
        return $"Stands at {here} of {Show.Count(map.Height * map.Width)} places of this image.";
    }

    private string Cell(int row, int column, int found) =>
        Here(Query.With(Links.Names.Cell, $"{row}-{column}").With(Links.Names.Code, found.ToString(CultureInfo.InvariantCulture)));

    private string Code(int wanted) =>
        Here(Query.With(Links.Names.Code, wanted.ToString(CultureInfo.InvariantCulture)).With(Links.Names.Cell));

    private string PageOf(int at) => Here(Query.With(Links.Names.Page, at.ToString(CultureInfo.InvariantCulture)));

    private string Here(Query query) => Links.Run(Run.Id, RunTabs.Codebooks) + query + "#codes";

    /// The golden angle keeps neighbouring indices apart.
    private static string Hue(int code) =>
        string.Create(CultureInfo.InvariantCulture, $"hsl({code * 137.508 % 360:0} {55 + code % 3 * 15}% {38 + code / 3 % 4 * 11}%)");
}

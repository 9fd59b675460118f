using System.Text.Json;
using System.Text.Json.Nodes;
using DQ.Core.Artifacts;
using DQ.Core.Autoencoders;
using DQ.Core.Quantization;

namespace DQ.Reports.Charts;

/// <summary>Published results that runs stand beside in the rate–distortion plane.</summary>
public static class PublishedPoints
{
    private const string Metric = "reconstruction_nats_per_dim";

    /// <summary>The data set most of it is on; side of its images in pixels.</summary>
    private const string Dataset = "cifar10";
    private const int Width = 32;

    private static readonly IReadOnlyList<(string Likelihood, PlaneGroup Group)> All = Read();

    /// <summary>What was published on these data sets with these likelihoods.</summary>
    public static IEnumerable<PlaneGroup> For(IReadOnlySet<string> datasets, IReadOnlySet<string> likelihoods) =>
        datasets.Contains(Dataset) ? All.Where(one => likelihoods.Contains(one.Likelihood)).Select(one => one.Group) : [];

    private static IReadOnlyList<(string, PlaneGroup)> Read()
    {
        using var stream = typeof(PublishedPoints).Assembly.GetManifestResourceStream("published.json")!;
        var results = JsonSerializer.Deserialize<PublishedResults>(stream, ArtifactJson.Options)!;
        return
        [
            .. from table in results.Tables
            where table.Metric == Metric
            from column in table.Columns
            let points = table.Rows.SelectMany(row => Point(table, column.Key, row)).ToArray()
            where points.Length > 0
            select (
                Setting<string>(table.Settings, "model.likelihood.kind") ?? "",
                new PlaneGroup($"{column.Key.ToUpperInvariant()} published ({Dataset}, {table.Source})", points, Hollow: true)
            ),
        ];
    }

    /// The published model's grids: its first stride is 2, its coder blocks 2.
    private static IEnumerable<PlanePoint> Point(PublishedTable table, string column, PublishedRow row)
    {
        JsonObject[] settings = [row.Settings, table.Settings];
        var codes = settings
            .Select(one => one["model.codes"])
            .OfType<JsonArray>()
            .FirstOrDefault()
            ?.Select(code => code!.GetValue<int>())
            .ToArray();
        var books = settings.Select(one => Setting<int?>(one, "model.codebooks")).FirstOrDefault(found => found is not null);
        if (
            settings.All(one => Setting<string>(one, "data.source") != Dataset)
            || codes is null
            || books is null
            || row.Values.GetValueOrDefault(column) is not { } nats
        )
            yield break;
        var spec = new AutoencoderSpec { CodeCounts = codes, Codebooks = books.Value };
        var bits = CodeRate.UniformBitsPerImage(spec.Grids(Width, Width));
        yield return new(
            bits / (3 * Width * Width),
            nats / Math.Log(2),
            $"{column.ToUpperInvariant()}, M = {books}, K = {string.Join(", ", codes)}",
            $"published: {nats} nats/dim of reconstruction; the uniform code rate is computed"
        );
    }

    private static T? Setting<T>(JsonObject settings, string key) =>
        settings[key] is JsonValue value && value.TryGetValue<T>(out var found) ? found : default;
}

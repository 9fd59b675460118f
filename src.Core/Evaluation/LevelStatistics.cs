using DQ.Core.Artifacts;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>Statistics of a level's codes over a split. The codes themselves are not stored.</summary>
/// <remarks>Axis legend: B batch, M codebooks, K codes, H W height and width of the level's grid.</remarks>
public sealed class LevelStatistics(int codebooks, int codes)
{
    private readonly CodePairs? pairs = CodePairs.Create(codebooks, codes);
    private PositionCounts? positions;
    private int height;
    private int width;

    public CodeHistogram Histogram { get; } = new(codebooks, codes);

    /// <summary>Mutual information (M, M) in nats, see <see cref="CodePairs"/>; null if pairs were not counted.</summary>
    public double[,]? MutualInformationNats => pairs?.MutualInformationNats();

    /// <summary>See <see cref="CodePairs.IndependentNats"/>; null if pairs were not counted.</summary>
    public double? IndependentNats => pairs?.IndependentNats();

    /// <summary>Adds code indices (B, M, H, W) int64 to the counts; H and W are always the same.</summary>
    public void Add(Tensor indices)
    {
        using var scope = NewDisposeScope();
        if (height == 0)
        {
            (height, width) = ((int)indices.shape[2], (int)indices.shape[3]);
            positions = PositionCounts.Create(codebooks, height, width, codes);
        }
        var onProcessor = indices.cpu();
        Histogram.Add(onProcessor);
        pairs?.Add(onProcessor);
        positions?.Add(onProcessor);
    }

    /// <summary>Makes the record, and adds its arrays to <paramref name="arrays"/> under names that begin with the split's name.</summary>
    public LevelCodebooks Record(string split, int level, IDictionary<string, Array> arrays)
    {
        string? Stored(string what, Array? values)
        {
            if (values is null)
                return null;
            var name = $"{split}.level{level}.{what}";
            arrays[name] = values;
            return name;
        }

        var histogram = new long[codebooks, codes];
        for (var book = 0; book < codebooks; book++)
        for (var code = 0; code < codes; code++)
            histogram[book, code] = Histogram.Counts(book)[code];
        var information = MutualInformationNats;
        return new()
        {
            Level = level,
            Codebooks = codebooks,
            Codes = codes,
            GridHeight = height,
            GridWidth = width,
            Positions = Histogram.Total(0),
            Histogram = Stored("histogram", histogram)!,
            EntropyMap = Stored("entropy_map", positions?.EntropyNats()),
            MutualInformation = Stored("mutual_information", information),
            NormalizedMutualInformation = Stored(
                "normalized_mutual_information",
                information is null ? null : CodePairs.Normalized(information)
            ),
        };
    }
}

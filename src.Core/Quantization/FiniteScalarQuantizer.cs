using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// Finite scalar quantization: each of d dimensions is bounded and rounded to one of L_i values, and the K = ΠL_i combinations are the
/// codes. There is no codebook that learns or could collapse. M groups of d channels: (B, M·d, H, W) to (B, M·d, H, W), values in [−1, 1].
/// </summary>
/// <remarks>
/// Source: Mentzer et al. 2023, <i>Finite Scalar Quantization: VQ-VAE Made Simple</i>, section 3 and appendix A.1.
/// Known deviation: the listing shifts the input by tan(offset / half) so that 0 stays 0 for even levels; the inverse of tanh does that.
/// The reported error is the squared distance between rounded and bounded values. There is no commitment loss (latent loss 0).
/// The first dimension is the lowest digit of an index, as in the listing. Infinite inputs take the outermost values; a position with a NaN
/// input has index 0, and its quantized map is NaN.
/// Axis legend: B batch, M groups, d dimensions of a group, H W grid sides.
/// </remarks>
public sealed class FiniteScalarQuantizer : Quantizer
{
    /// <summary>The name of this kind in configurations.</summary>
    public const string Kind = "finite_scalar";

    /// Widens the range of tanh beyond the outermost rounding boundaries, so that the outermost values can be reached.
    private const double Margin = 1e-3;

    private readonly StraightThrough gradient = new();
    private readonly IReadOnlyList<int> levels;

    /// <param name="codebooks">Groups M.</param>
    /// <param name="levels">L_i per dimension.</param>
    public FiniteScalarQuantizer(int codebooks, IReadOnlyList<int> levels)
        : base(nameof(FiniteScalarQuantizer))
    {
        this.levels = levels;
        Codebooks = codebooks;
        CodeCount = levels.Aggregate(1, (product, level) => product * level);
        RegisterComponents();
    }

    /// <summary>The reason why a level can't have this K, or null.</summary>
    internal static string? CodesProblem(QuantizerSpec spec, int codes)
    {
        if (spec.Levels is { Count: > 0 } levels)
        {
            var product = levels.Aggregate(1L, (product, level) => product * level);
            return product == codes
                ? null
                : $"expected the product of quantizer.levels, {string.Join("·", levels)} = {product}, got {codes}";
        }
        if (FiniteScalarLevels.For(codes) is not null)
            return null;
        var (below, above) = FiniteScalarLevels.Around(codes);
        return $"expected a product of levels from 3 to 8, such as {(below is null ? "" : $"{below} or ")}{above}, got {codes}";
    }

    /// <summary>The levels that a specification gives for K codes.</summary>
    internal static IReadOnlyList<int> LevelsFor(QuantizerSpec spec, int codes) =>
        spec.Levels is { Count: > 0 } levels
            ? levels
            : FiniteScalarLevels.For(codes) ?? throw new ArgumentException(CodesProblem(spec, codes), nameof(codes));

    public override int Codebooks { get; }

    public override int CodeCount { get; }

    public override int InputChannels => Codebooks * levels.Count;

    public override int OutputChannels => InputChannels;

    protected override Quantized QuantizeMap(Tensor map, TrainingMoment moment)
    {
        var input = map.view(map.shape[0], Codebooks, levels.Count, map.shape[2], map.shape[3]);
        var bounded =
            input.Plus(PerDimension(level => Math.Atanh(Offset(level) / Half(level)), map.device)).tanh() * PerDimension(Half, map.device)
            - PerDimension(Offset, map.device);
        var steps = PerDimension(level => level / 2, map.device); // from the lowest value to 0
        var rounded = bounded.detach().round();
        var (scaled, values) = (bounded / steps, rounded / steps);
        var places = (rounded.Plus(steps) * PerDimension(Places(), map.device)).sum(2); // (B, M, H, W); exact below 2^24
        // a cast of NaN would give an index that does not exist; the map stays NaN, and so does the loss
        var chosen = places.nan_to_num(nan: 0).to_type(ScalarType.Int64);
        var squares = (values - scaled.detach()).Squared(); // (B, M, d, H, W)
        return new(
            gradient.Apply(scaled, values).reshape(map.shape),
            chosen,
            zeros([], device: map.device),
            squares.mean([0, 2, 3, 4]),
            Distances: Distances(squares)
        );
    }

    protected override Tensor EmbedCodes(Tensor codes)
    {
        var places = PerDimension(Places(), codes.device).to_type(ScalarType.Int64);
        var counts = PerDimension(level => level, codes.device).to_type(ScalarType.Int64);
        var digits = codes.unsqueeze(2).floor_divide(places).remainder(counts).to_type(ScalarType.Float32); // (B, M, d, H, W)
        var steps = PerDimension(level => level / 2, codes.device);
        return ((digits - steps) / steps).reshape(codes.shape[0], OutputChannels, codes.shape[2], codes.shape[3]);
    }

    private static double Half(int level) => (level - 1) * (1 + Margin) / 2;

    /// An even number of values has no middle value: they are half a step lower.
    private static double Offset(int level) => level % 2 == 0 ? 0.5 : 0;

    /// Place value of each dimension: 1, L_1, L_1·L_2, …
    private double[] Places()
    {
        var places = new double[levels.Count];
        for (var (dimension, place) = (0, 1.0); dimension < levels.Count; place *= levels[dimension++])
            places[dimension] = place;
        return places;
    }

    private Tensor PerDimension(Func<int, double> value, Device device) => PerDimension([.. levels.Select(value)], device);

    /// (d, 1, 1) float32.
    private static Tensor PerDimension(double[] values, Device device) =>
        tensor([.. values.Select(value => (float)value)], device: device).view(-1, 1, 1);
}

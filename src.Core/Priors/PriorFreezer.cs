using DQ.Core.Coding;

namespace DQ.Core.Priors;

/// <summary>Makes integers of a trained prior.</summary>
/// <remarks>
/// All scales are powers of two and depend on the weights alone: multiplying by them is exact, so the same weights give the same
/// integers on every machine. A layer's scale is the largest at which no sum of int16 products can leave 32 bits.
/// </remarks>
public static class PriorFreezer
{
    /// Embeddings get as many bits behind the point as keep a position's sum below this.
    private const double EmbeddingRange = 1 << 13;

    private const int MostBits = 24;
    private const int LeastBits = FrozenPrior.ActivationBits;

    /// What an input of a layer is: integers to one, and the largest integer.
    private readonly record struct Units(int Count, double PerOne, int Limit);

    /// <exception cref="ArgumentException">The weights are not finite, or too large for integers.</exception>
    public static FrozenPrior Freeze(PriorWeights weights) =>
        new(weights.Spec, [.. weights.Levels.Select((level, number) => Frozen(weights.Spec, level, number))]);

    private static FrozenPriorLevel Frozen(PriorSpec spec, PriorLevelWeights level, int number)
    {
        var (own, ownUnit) = Embeddings(level.Own);
        var above = level.Above.Select(Embeddings).ToArray();
        var hidden = new Units(spec.Width, 1 << FrozenPrior.ActivationBits, FrozenPrior.LargestActivation);
        var before = new Units(spec.Embedding, ownUnit, own.Limit);
        var inputs = new List<Units> { before with { Count = spec.Embedding * spec.Neighbours } };
        inputs.AddRange(above.Select(each => new Units(spec.Embedding * PriorPlaces.Around.Count, each.Unit, each.Tables.Limit)));
        FrozenEmbeddings? phase = null;
        if (level.Phase is { } places)
        {
            (phase, var unit) = Embeddings([places]);
            inputs.Add(new Units(spec.Embedding, unit, phase.Limit));
        }
        return new(
            own,
            [.. above.Select(each => each.Tables)],
            phase?.Tables[0],
            Activated(level.Enter, inputs, $"levels.{number}.enter"),
            Activated(level.Hidden, [hidden], $"levels.{number}.hidden"),
            [.. level.Join.Select((layer, book) => Activated(layer, [hidden, before], $"levels.{number}.join.{book}"))],
            [.. level.Leave.Select((layer, book) => Scaled(layer, [hidden], $"levels.{number}.leave.{book}"))]
        );
    }

    private static (FrozenEmbeddings Tables, double Unit) Embeddings(IReadOnlyList<float[]> tables)
    {
        var largest = tables.Sum(table => (double)table.Max(Math.Abs));
        var bits = MostBits;
        while (bits > -MostBits && !(Math.ScaleB(largest, bits) < EmbeddingRange))
            bits--;
        var rounded = tables
            .Select(table => table.Select(value => (short)Math.Round(Math.ScaleB((double)value, bits))).ToArray())
            .ToArray();
        return (new(rounded, rounded.Sum(table => table.Max(value => Math.Abs((int)value)))), Math.ScaleB(1, bits));
    }

    /// A layer whose sums, shifted, are activations; the bias has the half for rounding.
    private static FrozenLayer Activated(PriorLayer layer, IReadOnlyList<Units> inputs, string name)
    {
        var frozen = Scaled(layer, inputs, name);
        var shift = frozen.Shift - FrozenPrior.ActivationBits;
        return frozen with { Bias = [.. frozen.Bias.Select(bias => bias + (shift > 0 ? 1 << (shift - 1) : 0))], Shift = shift };
    }

    /// A layer whose sums have as many bits behind the point as fit.
    private static FrozenLayer Scaled(PriorLayer layer, IReadOnlyList<Units> inputs, string name)
    {
        var units = inputs.SelectMany(block => Enumerable.Repeat(block, block.Count)).ToArray();
        var bits = MostBits;
        while (bits >= LeastBits && !Fits(layer, units, bits))
            bits--;
        if (bits < LeastBits)
            throw new ArgumentException($"{name}: expected finite weights that are small enough for integers");
        var weights = new short[layer.Weight.Length];
        for (var at = 0; at < weights.Length; at++)
            weights[at] = (short)Math.Round(Math.ScaleB(layer.Weight[at] / units[at % layer.Inputs].PerOne, bits));
        int[] bias = [.. layer.Bias.Select(value => (int)Math.Round(Math.ScaleB((double)value, bits)))];
        return new(layer.Inputs, layer.Outputs, weights, bias, bits);
    }

    private static bool Fits(PriorLayer layer, Units[] units, int bits)
    {
        for (var row = 0; row < layer.Outputs; row++)
        {
            // the half for rounding, and half a unit for each rounded weight
            var sum = Math.Abs(Math.ScaleB((double)layer.Bias[row], bits)) + (1 << MostBits);
            for (var input = 0; input < layer.Inputs; input++)
            {
                var weight = Math.Abs(Math.ScaleB(layer.Weight[row * layer.Inputs + input] / units[input].PerOne, bits));
                if (!(weight < short.MaxValue))
                    return false;
                sum += (weight + 0.5) * units[input].Limit;
            }
            if (!(sum < int.MaxValue))
                return false;
        }
        return true;
    }
}

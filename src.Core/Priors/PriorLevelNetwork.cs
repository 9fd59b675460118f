using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Priors;

/// <summary>
/// The part of a <see cref="PriorNetwork"/> for one level. Axes as there; N neighbours, E embedding.
/// </summary>
/// <remarks>
/// <code>
/// known neighbours ─ own ────┐
/// levels above ──── above ───┼─ enter ─ act ─ hidden ─ act, added ──┐
/// place in the cell  phase ──┘                                      ├─ join.m ─ act ─ leave.m ─ logits of codebook m
/// codebooks before m ─ own ─────────────────────────────────────────┘
/// </code>
/// act is ReLU, cut at <see cref="LargestActivation"/>, so that integers can hold it. A position is represented by the sum of its codes'
/// embeddings; outside of the grid all codebooks have the code K, which has an embedding of its own.
/// </remarks>
internal sealed class PriorLevelNetwork : nn.Module
{
    /// <summary>Larger activations are cut.</summary>
    public const double LargestActivation = FrozenPrior.LargestActivation / (double)(1 << FrozenPrior.ActivationBits);

    /// Factor for the first embeddings, which are normal; and for the first weights of the last layers.
    private const double FirstEmbeddings = 0.5;
    private const double FirstOutputs = 0.1;

    private readonly PriorSpec spec;
    private readonly int level;

    [ComponentName(Name = "own")]
    private readonly ModuleList<Embedding> own;

    [ComponentName(Name = "above")]
    private readonly ModuleList<ModuleList<Embedding>> above;

    [ComponentName(Name = "phase")]
    private readonly ModuleList<Embedding> phase; // one for the level above; empty for the top

    [ComponentName(Name = "enter")]
    private readonly Linear enter;

    [ComponentName(Name = "hidden")]
    private readonly Linear hidden;

    [ComponentName(Name = "join")]
    private readonly ModuleList<Linear> join;

    [ComponentName(Name = "leave")]
    private readonly ModuleList<Linear> leave;

    public PriorLevelNetwork(PriorSpec spec, int level)
        : base(nameof(PriorLevelNetwork))
    {
        (this.spec, this.level) = (spec, level);
        var codes = spec.Levels[level];
        own = Tables(level);
        above = new([.. Enumerable.Range(level + 1, spec.Levels.Count - 1 - level).Select(Tables)]);
        phase = new([.. above.Take(1).Select(_ => nn.Embedding(Square(spec.Ratio(level, level + 1)), spec.Embedding))]);
        enter = nn.Linear(spec.Inputs(level), spec.Width);
        hidden = nn.Linear(spec.Width, spec.Width);
        join = new([.. Enumerable.Range(0, codes.Codebooks).Select(_ => nn.Linear(spec.Width + spec.Embedding, spec.Width))]);
        leave = new([.. Enumerable.Range(0, codes.Codebooks).Select(_ => nn.Linear(spec.Width, codes.CodeCount))]);
        RegisterComponents();
        using var none = no_grad();
        foreach (var table in own.Concat(above.SelectMany(tables => tables)).Concat(phase))
            table.weight!.mul_(Kept(FirstEmbeddings));
        foreach (var layer in leave)
            layer.weight!.mul_(Kept(FirstOutputs));
    }

    /// <summary>−ln p of this level's codes, (M).</summary>
    /// <param name="codes">(B, M, H, W) int64.</param>
    /// <param name="codesAbove">Those of the levels above, the nearest first.</param>
    public Tensor Nats(Tensor codes, IReadOnlyList<Tensor> codesAbove)
    {
        using var scope = NewDisposeScope();
        var features = Features(codes, codesAbove); // (P, width)
        var before = zeros([features.shape[0], spec.Embedding], device: features.device); // Σ of the codebooks before, (P, E)
        var nats = new Tensor[join.Count];
        for (var book = 0; book < join.Count; book++)
        {
            var chosen = codes.select(1, book).reshape(-1); // (P)
            var logits = leave[book].forward(Act(join[book].forward(cat([features, before], 1)))); // (P, K)
            nats[book] = nn.functional.cross_entropy(logits, chosen, reduction: nn.Reduction.Sum);
            before = before.Plus(own[book].forward(chosen));
        }
        return stack(nats).MoveToOuterDisposeScope();
    }

    public PriorLevelWeights Weights() =>
        new(
            [.. own.Select(Plain)],
            [.. above.Select(tables => tables.Select(Plain).ToArray())],
            phase.Select(Plain).FirstOrDefault(),
            Plain(enter),
            Plain(hidden),
            [.. join.Select(Plain)],
            [.. leave.Select(Plain)]
        );

    private static long Square(int side) => (long)side * side;

    private ModuleList<Embedding> Tables(int of)
    {
        var codes = spec.Levels[of];
        return new([.. Enumerable.Range(0, codes.Codebooks).Select(_ => nn.Embedding(codes.CodeCount + 1, spec.Embedding))]);
    }

    private static Tensor Act(Tensor sums) => sums.clamp(Kept(0.0), Kept(LargestActivation));

    /// What does not depend on the position's own codes, (P, width).
    private Tensor Features(Tensor codes, IReadOnlyList<Tensor> codesAbove)
    {
        var (height, width) = (codes.shape[2], codes.shape[3]);
        var radius = spec.Radius;
        var parts = new List<Tensor>();
        var map = Embedded(codes, own, radius, 0); // (B, H + r, W + 2r, E)
        foreach (var (row, column) in PriorPlaces.Before(radius))
            parts.Add(map.narrow(1, radius + row, height).narrow(2, radius + column, width));
        foreach (var (index, others) in codesAbove.Index())
            parts.Add(Above(others, above[index], spec.Ratio(level, level + 1 + index)));
        if (phase.Count > 0)
            parts.Add(Phases(codes.shape[0], height, width));
        var inputs = cat(parts, 3).reshape(-1, spec.Inputs(level)); // (B, H, W, inputs) → (P, inputs)
        var first = Act(enter.forward(inputs));
        return Act(first.Plus(Act(hidden.forward(first))));
    }

    /// The sums of embeddings with a margin: at the left, the right and the top, and as given at the bottom.
    private static Tensor Embedded(Tensor codes, ModuleList<Embedding> tables, int margin, int bottom)
    {
        Tensor? sum = null;
        foreach (var (book, table) in tables.Index())
        {
            var padded = nn.functional.pad(
                codes.select(1, book),
                [margin, margin, margin, bottom],
                PaddingModes.Constant,
                table.weight!.shape[0] - 1
            );
            var embedded = table.forward(padded);
            sum = sum is null ? embedded : sum.Plus(embedded);
        }
        return sum!;
    }

    /// (B, H, W, 9 E) from the codes of a level above.
    private static Tensor Above(Tensor codes, ModuleList<Embedding> tables, int ratio)
    {
        var map = Embedded(codes, tables, 1, 1);
        var around = PriorPlaces.Around.Select(place =>
            map.narrow(1, 1 + place.Row, codes.shape[2]).narrow(2, 1 + place.Column, codes.shape[3])
        );
        return cat([.. around], 3).repeat_interleave(ratio, 1).repeat_interleave(ratio, 2);
    }

    /// (B, H, W, E).
    private Tensor Phases(long batch, long height, long width)
    {
        var ratio = spec.Ratio(level, level + 1);
        var numbers = new long[height * width];
        for (var at = 0; at < numbers.Length; at++)
            numbers[at] = at / width % ratio * ratio + at % width % ratio;
        var table = phase[0];
        return table.forward(tensor(numbers, [1, height, width], device: table.weight!.device)).expand(batch, -1, -1, -1);
    }

    private static float[] Plain(Embedding table) => table.weight!.cpu().data<float>().ToArray();

    private static PriorLayer Plain(Linear layer) =>
        new(
            (int)layer.weight!.shape[1],
            (int)layer.weight.shape[0],
            layer.weight.cpu().data<float>().ToArray(),
            layer.bias!.cpu().data<float>().ToArray()
        );
}

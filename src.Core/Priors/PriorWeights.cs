namespace DQ.Core.Priors;

/// <summary>A linear layer.</summary>
/// <param name="Inputs">Length of the input.</param>
/// <param name="Outputs">Length of the output.</param>
/// <param name="Weight">(Outputs, Inputs), row by row.</param>
/// <param name="Bias">(Outputs).</param>
public sealed record PriorLayer(int Inputs, int Outputs, float[] Weight, float[] Bias);

/// <summary>A level's weights; names and shapes as in <see cref="PriorLevelNetwork"/>.</summary>
/// <param name="Own">(K + 1, E) per codebook.</param>
/// <param name="Above">The same of each level above, the nearest first.</param>
/// <param name="Phase">(ratio², E); null for the top level.</param>
/// <param name="Enter">The first layer.</param>
/// <param name="Hidden">The second.</param>
/// <param name="Join">Per codebook.</param>
/// <param name="Leave">Per codebook.</param>
public sealed record PriorLevelWeights(
    IReadOnlyList<float[]> Own,
    IReadOnlyList<float[][]> Above,
    float[]? Phase,
    PriorLayer Enter,
    PriorLayer Hidden,
    IReadOnlyList<PriorLayer> Join,
    IReadOnlyList<PriorLayer> Leave
);

/// <summary>A trained prior's weights as plain numbers, levels bottom first.</summary>
public sealed record PriorWeights(PriorSpec Spec, IReadOnlyList<PriorLevelWeights> Levels);

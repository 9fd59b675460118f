namespace DQ.Core.Likelihoods.Context;

/// <summary>One linear layer: y = W x + b.</summary>
/// <param name="Inputs">Length of x.</param>
/// <param name="Outputs">Length of y.</param>
/// <param name="Weight">W, (Outputs, Inputs), row by row.</param>
/// <param name="Bias">b, (Outputs).</param>
public sealed record ContextLayer(int Inputs, int Outputs, float[] Weight, float[] Bias);

/// <summary>A trained context head as plain numbers: h = ReLU(enter x), h = ReLU(first h), h += ReLU(further h), y = leave h.</summary>
/// <param name="Spec">The spec of the head.</param>
/// <param name="Enter">From <see cref="ContextSpec.Inputs"/> to the width.</param>
/// <param name="Hidden"><see cref="ContextSpec.Depth"/> layers from width to width.</param>
/// <param name="Leave">From the width to <see cref="ContextSpec.Outputs"/>.</param>
public sealed record ContextWeights(ContextSpec Spec, ContextLayer Enter, IReadOnlyList<ContextLayer> Hidden, ContextLayer Leave);

using TorchSharp.Modules;
using TorchSharp.Utils;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// Codes drawn from a categorical distribution whose logits are the input map: (B, M·K, H, W) to (B, M·D, H, W). Training draws samples,
/// which are differentiable through their relaxation. Evaluation takes the most likely code.
/// </summary>
/// <remarks>
/// Source: Jang et al. 2017, <i>Categorical Reparameterization with Gumbel-Softmax</i>, sections 2.1–2.2 (straight-through samples);
/// a KL divergence to the uniform prior as in Ramesh et al. 2021, <i>Zero-Shot Text-to-Image Generation</i>, section 2.1. The temperature τ
/// falls along a cosine from 1 to 1/16. Noise is a function of (seed, step, micro-batch). There is no input vector that a code could be
/// near to. So there is no commitment loss (latent loss 0), and the reported error is the squared distance between the chosen code and the
/// expected code.
/// State-dict key: <c>codes</c> (M, K, D), a parameter.
/// Axis legend: B batch, M codebooks, K codes, D code width, N = B·H·W.
/// </remarks>
public sealed class GumbelQuantizer : Quantizer
{
    /// <summary>The name of this kind in configurations.</summary>
    public const string Kind = "gumbel";

    private const double FirstTemperature = 1;
    private const double LastTemperature = 1.0 / 16;

    [ComponentName(Name = "codes")]
    private readonly Parameter codes;

    private readonly QuantizerSpec spec;

    public GumbelQuantizer(QuantizerSpec spec, int codebooks, int codeCount, int width)
        : base(nameof(GumbelQuantizer))
    {
        this.spec = spec;
        (Codebooks, CodeCount, Width) = (codebooks, codeCount, width);
        codes = new Parameter(randn(codebooks, codeCount, width).DetachFromDisposeScope());
        RegisterComponents();
    }

    public override int Codebooks { get; }

    public override int CodeCount { get; }

    /// <summary>Width D of a code.</summary>
    public int Width { get; }

    public override int InputChannels => Codebooks * CodeCount;

    public override int OutputChannels => Codebooks * Width;

    public override long MultiplyAddsPerPosition => (long)Codebooks * CodeCount * Width;

    /// <summary>τ at a moment of training: 1 at the first step, 1/16 at the last step of the annealing.</summary>
    public double Temperature(TrainingMoment moment)
    {
        var span = Math.Max(1, (spec.TemperatureSteps ?? moment.Steps) - 1);
        var share = Math.Min(1.0, (double)moment.Step / span);
        return LastTemperature + (FirstTemperature - LastTemperature) * (1 + Math.Cos(Math.PI * share)) / 2;
    }

    protected override Quantized QuantizeMap(Tensor map, TrainingMoment moment)
    {
        var (batch, height, width) = (map.shape[0], map.shape[2], map.shape[3]);
        // (B, M·K, H, W) to (M, N, K)
        var logits = map.view(batch, Codebooks, CodeCount, -1).permute(1, 0, 3, 2).reshape(Codebooks, -1, CodeCount);
        var logs = nn.functional.log_softmax(logits, 2);
        var probabilities = logs.exp();
        var (chosen, vectors) = training ? Sample(logits, moment) : Likeliest(logits); // (M, N), (M, N, D)
        var squares = (bmm(probabilities.detach(), codes.detach()) - vectors.detach()).Squared(); // (M, N, D)
        return new(
            CodeMaps.Vectors(vectors, batch, height, width).reshape(batch, OutputChannels, height, width),
            CodeMaps.Indices(chosen, batch, height, width),
            zeros([], device: map.device),
            squares.mean([1, 2]),
            // KL(p ‖ uniform) = ln K − H(p), mean over positions
            Kept(spec.UniformWeight) * (probabilities * logs).sum(2).mean([1]).Plus(Kept(Math.Log(CodeCount))).sum(),
            Distances(CodeMaps.Vectors(squares, batch, height, width))
        );
    }

    protected override Tensor EmbedCodes(Tensor codes)
    {
        var (batch, height, width) = (codes.shape[0], codes.shape[2], codes.shape[3]);
        return CodeMaps
            .Vectors(CodeMaps.Lookup(this.codes, CodeMaps.Rows(codes)), batch, height, width)
            .reshape(batch, OutputChannels, height, width);
    }

    private (Tensor Chosen, Tensor Vectors) Likeliest(Tensor logits)
    {
        var chosen = logits.argmax(2);
        return (chosen, CodeMaps.Lookup(codes, chosen));
    }

    /// The value is one code; the gradient is that of the relaxed sample.
    private (Tensor Chosen, Tensor Vectors) Sample(Tensor logits, TrainingMoment moment)
    {
        var soft = (logits.Plus(Noise(logits, moment)) / Kept(Temperature(moment))).softmax(2);
        var chosen = soft.argmax(2);
        var hard = nn.functional.one_hot(chosen, CodeCount).to_type(ScalarType.Float32);
        return (chosen, bmm(hard.Plus(soft - soft.detach()), codes));
    }

    /// If E is exponentially distributed, −ln E has Gumbel's distribution. Each rank draws the noise of the whole micro-batch and takes its part.
    private static Tensor Noise(Tensor logits, TrainingMoment moment)
    {
        var stream = new SplitMix64(moment.Seed, moment.Step, moment.MicroBatch);
        using var generator = new Generator(stream.Next(), CPU); // TorchSharp has no others
        var (books, own, codes) = (logits.shape[0], logits.shape[1], logits.shape[2]);
        var positions = moment.Sharing is { Images: var images } ? own / images.Count * images.Of : own;
        var drawn = empty([books, positions, codes]).exponential_(generator: generator);
        return (moment.Sharing?.Own(drawn, 1) ?? drawn).to(logits.device).clamp_min(Kept(1e-30)).log().neg();
    }
}

using DQ.Core.Autoencoders;
using DQ.Core.Likelihoods;
using static TorchSharp.torch;

namespace DQ.Core.Weights;

/// <summary>
/// What the published implementation computed, to compare with: a safetensors file of its inputs, weights and results.
/// </summary>
public abstract class ParityFile : IDisposable
{
    private protected ParityFile(SafeTensorsFile file) => Note = file.Metadata.GetValueOrDefault("note");

    /// <summary>What the file says of itself.</summary>
    public string? Note { get; }

    /// <summary>Reads a <see cref="ModelParity"/> or a <see cref="LikelihoodParity"/>, which owns its tensors.</summary>
    /// <exception cref="WeightsException">Not a parity file, or one that lacks something.</exception>
    public static ParityFile Open(string path)
    {
        using var file = SafeTensorsFile.Open(path);
        using var scope = NewDisposeScope();
        ParityFile parity = file.Contains("logits") ? new LikelihoodParity(file, path) : new ModelParity(file, path);
        foreach (var tensor in parity.Tensors)
            tensor.DetachFromDisposeScope();
        return parity;
    }

    private protected abstract IEnumerable<Tensor> Tensors { get; }

    public void Dispose()
    {
        foreach (var tensor in Tensors)
            tensor.Dispose();
    }

    private protected static Tensor Images(SafeTensorsFile file, string name, string path) =>
        file.Read(name) is var images && images.dim() == 4 && images.dtype == ScalarType.Byte
            ? images
            : throw new WeightsException(
                $"{path}: {name}: expected uint8 (B, C, H, W), found {images.dtype} ({string.Join(", ", images.shape)})"
            );

    private protected static double Number(SafeTensorsFile file, string name, string path)
    {
        using var tensor = file.Read(name);
        using var wide = tensor.to_type(ScalarType.Float64);
        return wide.numel() == 1
            ? wide.item<double>()
            : throw new WeightsException($"{path}: {name}: expected one number, found {wide.numel()}");
    }
}

/// <summary>Logits, pixels and the discretized logistic mixture's values for them. Axis legend: B batch, H W sides.</summary>
public sealed class LikelihoodParity : ParityFile
{
    internal LikelihoodParity(SafeTensorsFile file, string path)
        : base(file)
    {
        Logits = file.Read("logits");
        Pixels = Images(file, "pixels", path);
        NatsPerDimension = file.Read("nll_nats_per_dim");
        GradientOfMean = file.Read("grad_of_mean");
        NatsPerDimension64 = file.Read("nll_nats_per_dim_f64");
        GradientOfMean64 = file.Read("grad_of_mean_f64");
    }

    /// <summary>n mixture components.</summary>
    public LikelihoodSpec Spec => new() { Kind = "logistic_mixture", Components = (int)Logits.shape[1] / (Pixels.shape[1] == 1 ? 3 : 10) };

    /// <summary>Decoder output (B, 10n, H, W) float32, or (B, 3n, H, W) for grayscale.</summary>
    public Tensor Logits { get; }

    /// <summary>(B, C, H, W) uint8.</summary>
    public Tensor Pixels { get; }

    /// <summary>(B), computed in float32.</summary>
    public Tensor NatsPerDimension { get; }

    /// <summary>Gradient of their mean with respect to the logits, float32.</summary>
    public Tensor GradientOfMean { get; }

    /// <summary>(B), computed in float64 from the same logits.</summary>
    public Tensor NatsPerDimension64 { get; }

    /// <summary>The gradient in float64.</summary>
    public Tensor GradientOfMean64 { get; }

    private protected override IEnumerable<Tensor> Tensors =>
        [Logits, Pixels, NatsPerDimension, GradientOfMean, NatsPerDimension64, GradientOfMean64];
}

/// <summary>
/// A model of the published implementation, with its outputs, losses and gradients in evaluation mode, and in some files
/// one training step: Adam at <see cref="LearningRate"/>, gradients clipped at <see cref="ClipNorm"/>, then the codebooks'
/// moving average. Tensors that belong to parts of the model are under the published names, see <see cref="ReferenceNames"/>.
/// Axis legend: B batch, C channels, H W sides, M codebooks.
/// </summary>
public sealed class ModelParity : ParityFile
{
    /// <summary>Of the one step.</summary>
    public const double LearningRate = 2e-4;

    /// <summary>Of the one step.</summary>
    public const double ClipNorm = 2;

    internal ModelParity(SafeTensorsFile file, string path)
        : base(file)
    {
        Weights = Part(file, "model.");
        if (Weights.Count == 0)
            throw new WeightsException($"{path}: expected a parity file with tensors 'logits' or 'model.*'");
        Pixels = Images(file, "input.pixels", path);
        TargetPixels = file.Read("input.target_pixels");
        Normalized = file.Read("input.normalized");
        Output = file.Read("eval.decoder_output");
        Loss = Number(file, "eval.loss", path);
        Reconstruction = Number(file, "eval.reconstruction_loss", path);
        Latent = Number(file, "eval.latent_loss", path);
        Gradients = Part(file, "eval.grad.");
        var settings = new Dictionary<string, string>(file.Metadata);
        settings["in_channel"] = $"{Pixels.shape[1]}";
        if (file.Metadata.TryGetValue("n_hier_bottom_to_top", out var codes))
            settings["n_hier"] = codes;
        if (file.Metadata.TryGetValue("mixtures", out var components))
            settings["n_logistic_mix"] = components;
        Spec = PublishedModel.Spec(settings, path);
        // the file lists them top to bottom
        Codes = [.. Enumerable.Range(0, Spec.Levels).Select(level => file.Read($"eval.codes.{Spec.Levels - 1 - level}"))];
        if (file.Contains("train.loss"))
            Step = new(Number(file, "train.loss", path), Number(file, "train.grad_norm", path), Part(file, "after_step."));
    }

    /// <summary>The model, with the published initialization and revival.</summary>
    public AutoencoderSpec Spec { get; }

    /// <summary>State dict.</summary>
    public IReadOnlyDictionary<string, Tensor> Weights { get; }

    /// <summary>(B, C, H, W) uint8.</summary>
    public Tensor Pixels { get; }

    /// <summary>(B, C, H, W) uint8: the targets its losses used, some one level below <see cref="Pixels"/> (truncated).</summary>
    public Tensor TargetPixels { get; }

    /// <summary>The network's input (B, C, H, W) float32.</summary>
    public Tensor Normalized { get; }

    /// <summary>Decoder output (B, likelihood's channels, H, W) float32.</summary>
    public Tensor Output { get; }

    /// <summary>(B, M, H, W) int64 per level, bottom first.</summary>
    public IReadOnlyList<Tensor> Codes { get; }

    /// <summary>Reconstruction + β·latent.</summary>
    public double Loss { get; }

    /// <summary>Nats per dimension, or mean squared error on normalized values.</summary>
    public double Reconstruction { get; }

    /// <summary>Sum over levels and codebooks.</summary>
    public double Latent { get; }

    /// <summary>Of <see cref="Loss"/>, by parameter.</summary>
    public IReadOnlyDictionary<string, Tensor> Gradients { get; }

    /// <summary>Null in files without one.</summary>
    public ParityStep? Step { get; }

    private protected override IEnumerable<Tensor> Tensors =>
        [Pixels, TargetPixels, Normalized, Output, .. Codes, .. Weights.Values, .. Gradients.Values, .. Step?.StateAfter.Values ?? []];

    private static Dictionary<string, Tensor> Part(SafeTensorsFile file, string prefix) =>
        file
            .Entries.Where(entry => entry.Name.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(entry => entry.Name[prefix.Length..], entry => file.Read(entry.Name));
}

/// <summary>One training step.</summary>
/// <param name="Loss">In training mode, before the step.</param>
/// <param name="GradientNorm">Before clipping.</param>
/// <param name="StateAfter">State dict after the optimizer's step and the codebooks' update.</param>
public sealed record ParityStep(double Loss, double GradientNorm, IReadOnlyDictionary<string, Tensor> StateAfter);

using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using DQ.Core.Likelihoods;
using static TorchSharp.torch;

namespace DQ.Core.Published;

/// <summary>
/// Results of the published implementation for comparison: a safetensors file with its inputs, weights and results.
/// </summary>
public abstract class ParityFile : IDisposable
{
    private protected ParityFile(SafeTensorsFile file) => Note = file.Metadata.GetValueOrDefault("note");

    /// <summary>The file's metadata.</summary>
    public string? Note { get; }

    /// <summary>Reads a <see cref="ModelParity"/> or a <see cref="LikelihoodParity"/>, which owns its tensors.</summary>
    /// <exception cref="WeightsException">Not a parity file, or an incomplete one.</exception>
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

    /// A tensor whose values are compared one by one. Its shape is checked, because another shape would broadcast, or would not be compared
    /// at all.
    private protected static Tensor Shaped(SafeTensorsFile file, string name, string path, params long[] shape) =>
        file.Read(name) is var tensor && tensor.shape.SequenceEqual(shape)
            ? tensor
            : throw new WeightsException(
                $"{path}: {name}: expected ({string.Join(", ", shape)}), found ({string.Join(", ", tensor.shape)})"
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

/// <summary>Logits, pixels and the discretized logistic mixture's values for them. Axis legend: B batch, H W height and width.</summary>
public sealed class LikelihoodParity : ParityFile
{
    internal LikelihoodParity(SafeTensorsFile file, string path)
        : base(file)
    {
        Logits = file.Read("logits");
        Pixels = Images(file, "pixels", path);
        var (batch, height, width) = (Pixels.shape[0], Pixels.shape[2], Pixels.shape[3]);
        if (
            Pixels.shape[1] is not (1 or 3)
            || Logits.dim() != 4
            || Logits.shape[1] < ChannelsPerComponent
            || Logits.shape[1] % ChannelsPerComponent != 0
            || !Logits.shape.SequenceEqual([batch, Logits.shape[1], height, width])
        )
            throw new WeightsException(
                $"{path}: logits: expected ({batch}, {ChannelsPerComponent}n, {height}, {width}) for the file's pixels, "
                    + $"found ({string.Join(", ", Logits.shape)})"
            );
        NatsPerDimension = Shaped(file, "nll_nats_per_dim", path, batch);
        GradientOfMean = Shaped(file, "grad_of_mean", path, Logits.shape);
        NatsPerDimension64 = Shaped(file, "nll_nats_per_dim_f64", path, batch);
        GradientOfMean64 = Shaped(file, "grad_of_mean_f64", path, Logits.shape);
    }

    /// <summary>Number n of mixture components.</summary>
    public LikelihoodSpec Spec => new() { Kind = "logistic_mixture", Components = (int)(Logits.shape[1] / ChannelsPerComponent) };

    private long ChannelsPerComponent => Pixels.shape[1] == 1 ? 3 : 10;

    /// <summary>Decoder output (B, 10n, H, W) float32, or (B, 3n, H, W) for grayscale.</summary>
    public Tensor Logits { get; }

    /// <summary>(B, C, H, W) uint8.</summary>
    public Tensor Pixels { get; }

    /// <summary>Loss per image (B), computed in float32.</summary>
    public Tensor NatsPerDimension { get; }

    /// <summary>Gradient of their mean with respect to the logits, float32.</summary>
    public Tensor GradientOfMean { get; }

    /// <summary>Loss per image (B), computed in float64 from the same logits.</summary>
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
/// Axis legend: B batch, C channels, H W height and width, M codebooks.
/// </summary>
public sealed class ModelParity : ParityFile
{
    /// <summary>Learning rate of the one training step.</summary>
    public const double LearningRate = 2e-4;

    /// <summary>Bound of the gradient norm in the one training step.</summary>
    public const double ClipNorm = 2;

    internal ModelParity(SafeTensorsFile file, string path)
        : base(file)
    {
        Weights = Part(file, "model.");
        if (Weights.Count == 0)
            throw new WeightsException($"{path}: expected a parity file with tensors 'logits' or 'model.*'");
        Pixels = Images(file, "input.pixels", path);
        TargetPixels = Images(file, "input.target_pixels", path);
        Normalized = Shaped(file, "input.normalized", path, Pixels.shape);
        Loss = Number(file, "eval.loss", path);
        Reconstruction = Number(file, "eval.reconstruction_loss", path);
        Latent = Number(file, "eval.latent_loss", path);
        Gradients = Part(file, "eval.grad.");
        Spec = SpecOf(file, Pixels.shape[1], path);
        PublishedModel.CheckSize(Spec, Weights.ToDictionary(entry => entry.Key, entry => entry.Value.shape), path);
        var (batch, height, width) = (Pixels.shape[0], Pixels.shape[2], Pixels.shape[3]);
        if (!TargetPixels.shape.SequenceEqual(Pixels.shape))
            throw new WeightsException($"{path}: input.target_pixels: expected the shape of input.pixels");
        var channels = Likelihood.Create(Spec.Likelihood, Spec.ImageChannels).OutputChannels;
        Output = Shaped(file, "eval.decoder_output", path, batch, channels, height, width);
        // the file lists them top to bottom
        Codes =
        [
            .. Spec.Grids((int)height, (int)width)
                .Select(
                    (grid, level) =>
                        Whole(file, $"eval.codes.{Spec.Levels - 1 - level}", path, batch, Spec.Codebooks, grid.Height, grid.Width)
                ),
        ];
        var after = Part(file, "after_step.");
        if (file.Contains("train.loss"))
            Step = new(Number(file, "train.loss", path), Number(file, "train.grad_norm", path), after);
        else if (after.Count > 0)
            throw new WeightsException($"{path}: expected 'train.loss' and 'train.grad_norm' with the state after a step");
    }

    private static AutoencoderSpec SpecOf(SafeTensorsFile file, long imageChannels, string path)
    {
        // the released code reads a decay and never uses it: its results are those with its default
        var settings = new Dictionary<string, string>(file.Metadata) { ["decay"] = PublishedModel.Defaults["decay"] };
        settings["in_channel"] = $"{imageChannels}";
        if (file.Metadata.TryGetValue("n_hier_bottom_to_top", out var codes))
            settings["n_hier"] = codes;
        if (file.Metadata.TryGetValue("mixtures", out var components))
            settings["n_logistic_mix"] = components;
        return PublishedModel.Spec(settings, path);
    }

    private static Tensor Whole(SafeTensorsFile file, string name, string path, params long[] shape) =>
        Shaped(file, name, path, shape) is var tensor && !tensor.is_floating_point()
            ? tensor
            : throw new WeightsException($"{path}: {name}: expected integers, found {tensor.dtype}");

    /// <summary>Spec of the model, with the published initialization and revival.</summary>
    public AutoencoderSpec Spec { get; }

    /// <summary>State dict.</summary>
    public IReadOnlyDictionary<string, Tensor> Weights { get; }

    /// <summary>(B, C, H, W) uint8.</summary>
    public Tensor Pixels { get; }

    /// <summary>(B, C, H, W) uint8: the targets of its losses. Some are one level below <see cref="Pixels"/> (truncated).</summary>
    public Tensor TargetPixels { get; }

    /// <summary>The network's input (B, C, H, W) float32.</summary>
    public Tensor Normalized { get; }

    /// <summary>Decoder output (B, likelihood's channels, H, W) float32.</summary>
    public Tensor Output { get; }

    /// <summary>Code indices (B, M, H, W) int64 per level, bottom first.</summary>
    public IReadOnlyList<Tensor> Codes { get; }

    /// <summary>Total loss: reconstruction + β·latent.</summary>
    public double Loss { get; }

    /// <summary>Reconstruction loss in nats per dimension, or mean squared error on normalized values.</summary>
    public double Reconstruction { get; }

    /// <summary>Latent loss, the sum over levels and codebooks.</summary>
    public double Latent { get; }

    /// <summary>Gradients of <see cref="Loss"/>, by parameter.</summary>
    public IReadOnlyDictionary<string, Tensor> Gradients { get; }

    /// <summary>The training step; null in files without one.</summary>
    public ParityStep? Step { get; }

    private protected override IEnumerable<Tensor> Tensors =>
        [Pixels, TargetPixels, Normalized, Output, .. Codes, .. Weights.Values, .. Gradients.Values, .. Step?.StateAfter.Values ?? []];

    private static Dictionary<string, Tensor> Part(SafeTensorsFile file, string prefix) =>
        file
            .Entries.Where(entry => entry.Name.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(entry => entry.Name[prefix.Length..], entry => file.Read(entry.Name));
}

/// <summary>One training step.</summary>
/// <param name="Loss">Loss in training mode, before the step.</param>
/// <param name="GradientNorm">Norm of all gradients before clipping.</param>
/// <param name="StateAfter">State dict after the optimizer's step and the codebooks' update.</param>
public sealed record ParityStep(double Loss, double GradientNorm, IReadOnlyDictionary<string, Tensor> StateAfter);

using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using DQ.Core.Likelihoods;
using DQ.Core.Published;
using DQ.Core.Quantization;
using DQ.Core.Training;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Verification;

/// <summary>One compared quantity of a parity file.</summary>
/// <param name="Quantity">The compared quantity, and the tensor with the largest error if there are several.</param>
/// <param name="Error">The largest error, in the sense of <paramref name="Measure"/>.</param>
/// <param name="Tolerance">The largest error that passes.</param>
/// <param name="Measure">How the error is measured.</param>
/// <param name="Ties">Codes that differ and pass, because the recorded one is as near within float32's resolution.</param>
public sealed record ParityResult(string Quantity, double Error, double Tolerance, string Measure, long Ties = 0)
{
    /// <summary>Whether the error is within the tolerance; false if it is NaN.</summary>
    public bool Passed => Error <= Tolerance;
}

/// <summary>
/// Compares this implementation with outputs of the published one: the file's model is built, loaded with the file's weights, and run.
/// </summary>
/// <remarks>
/// The released code's targets are truncated pixels (a bug: de-normalized floats are truncated to integers). The files contain these
/// targets, and only here losses are measured against them. Its squared error compares with the untruncated input. If two codes are equally
/// near within float32's resolution, the recorded one is taken (<see cref="CodeTies"/>). So the later quantities are computed with the
/// recorded codes.
/// </remarks>
public static class ParityCheck
{
    private const string Relative = "relative";
    private const double RecordedTolerance = 1e-2;
    private const string NormRelative = "norm of difference / norm";

    /// <exception cref="WeightsException">The file can't be used; the message names the file and the reason.</exception>
    public static IReadOnlyList<ParityResult> Run(string path)
    {
        using var scope = NewDisposeScope();
        using var file = ParityFile.Open(path);
        return file switch
        {
            LikelihoodParity likelihood => CheckLikelihood(likelihood),
            ModelParity model => CheckModel(model, path),
            _ => throw new WeightsException($"{path}: expected a likelihood or a model to compare with"),
        };
    }

    private static ParityResult[] CheckLikelihood(LikelihoodParity file)
    {
        var likelihood = Likelihood.Create(file.Spec, (int)file.Pixels.shape[1]);
        var results = new List<ParityResult>();
        foreach (var (type, name, tolerance) in new[] { (ScalarType.Float64, "float64", 1e-5), (ScalarType.Float32, "float32", 1e-4) })
        {
            var logits = file.Logits.to_type(type).detach().requires_grad_();
            var nats = likelihood.Loss(logits, file.Pixels);
            nats.mean().backward();
            var expected = file.NatsPerDimension64;
            var error = ((nats.detach().to_type(ScalarType.Float64) - expected) / expected).abs().max().item<double>();
            results.Add(new($"nll_nats_per_dim, {name}", error, tolerance, Relative));
            results.Add(new($"gradient of the mean, {name}", NormError(logits.grad!, file.GradientOfMean64), tolerance, NormRelative));
        }
        // the published code's result in float32 has its own rounding, so the comparison is coarse
        var single = ((file.NatsPerDimension - file.NatsPerDimension64) / file.NatsPerDimension64).abs().max().item<double>();
        results.Add(new("nll_nats_per_dim, as recorded in float32", single, RecordedTolerance, Relative));
        var gradient = NormError(file.GradientOfMean, file.GradientOfMean64);
        results.Add(new("gradient of the mean, as recorded in float32", gradient, RecordedTolerance, NormRelative));
        return [.. results];
    }

    private static ParityResult[] CheckModel(ModelParity file, string path)
    {
        var objective = new AutoencoderObjective(file.Spec, [], seed: 0);
        var model = objective.Model;
        using var session = new TrainingSession(
            objective,
            new()
            {
                LearningRate = ModelParity.LearningRate,
                ClipNorm = ModelParity.ClipNorm,
                BatchSize = (int)file.Pixels.shape[0],
            },
            0,
            CPU
        );
        var names = new ReferenceNames(model);
        var weights = names.FromReference(file.Weights, path);
        model.load_state_dict(weights.ToDictionary());
        var ties = PreferRecorded(file, model);
        var targets = file.Spec.Likelihood.Kind == "squared_error" ? file.Pixels : file.TargetPixels;
        var results = CheckEvaluation(file, model, ties, names, targets, path);
        return file.Step is { } step ? [.. results, .. CheckStep(file, step, session, model, names, weights, targets, path)] : [.. results];
    }

    /// By level, bottom first.
    private static List<CodeTies> PreferRecorded(ModelParity file, HierarchicalAutoencoder model)
    {
        var ties = new List<CodeTies>();
        foreach (var (quantizer, codes) in model.Quantizers.OfType<CodebookQuantizer>().Zip(file.Codes))
        {
            ties.Add(new(CodeMaps.Rows(codes)));
            quantizer.Recorded = ties[^1];
        }
        return ties;
    }

    private static List<ParityResult> CheckEvaluation(
        ModelParity file,
        HierarchicalAutoencoder model,
        IReadOnlyList<CodeTies> ties,
        ReferenceNames names,
        Tensor targets,
        string path
    )
    {
        model.eval();
        var pass = model.Run(file.Pixels);
        var losses = ModelLosses.Of(model, pass, targets);
        var tied = ties.Sum(level => level.Count);
        var results = new List<ParityResult>
        {
            new("input.normalized", MaxError(PixelNormalization.Normalize(file.Pixels), file.Normalized), 1e-5, "absolute"),
            new(
                "codes",
                pass.Levels.Select((level, index) => level.Indices.ne(file.Codes[index]).sum().item<long>()).Sum(),
                0,
                tied == 0 ? "codes that differ" : $"codes that differ, but for {tied} ties: as near within float32",
                tied
            ),
            new("decoder_output", MaxError(pass.Output, file.Output), 1e-4, "absolute"),
            new("loss", RelativeError(losses.Total, file.Loss), 1e-5, Relative),
            new("reconstruction_loss", RelativeError(losses.Reconstruction, file.Reconstruction), 1e-5, Relative),
            new("latent_loss", RelativeError(losses.Latent, file.Latent), 1e-5, Relative),
        };
        if (file.Gradients.Count > 0)
        {
            losses.Total.backward();
            results.Add(CheckGradients(model, names.FromReference(file.Gradients, path, trainedOnly: true)));
        }
        return results;
    }

    /// PyTorch clips gradients in place. A file that recorded a clipped step holds the clipped gradients, whose norm is the bound.
    private static ParityResult CheckGradients(HierarchicalAutoencoder model, IReadOnlyDictionary<string, Tensor> expected)
    {
        var norm = TotalNorm(model.named_parameters().Select(entry => entry.parameter.grad!));
        var clipped = norm > ModelParity.ClipNorm && Math.Abs(TotalNorm(expected.Values) - ModelParity.ClipNorm) < 1e-3;
        var scale = clipped ? ModelParity.ClipNorm / (norm + 1e-6) : 1;
        var errors = model
            .named_parameters()
            .Select(entry => (entry.name, NormError(entry.parameter.grad! * Kept(scale), expected[entry.name])));
        return Worst(clipped ? "gradient (recorded clipped)" : "gradient", errors, 1e-3, NormRelative);
    }

    private static IEnumerable<ParityResult> CheckStep(
        ModelParity file,
        ParityStep step,
        TrainingSession session,
        HierarchicalAutoencoder model,
        ReferenceNames names,
        IReadOnlyDictionary<string, Tensor> before,
        Tensor targets,
        string path
    )
    {
        var report = session.Step(file.Pixels, targets);
        yield return new("train.loss", Math.Abs(report.Loss - step.Loss) / Math.Abs(step.Loss), 1e-5, Relative);
        yield return new("train.grad_norm", Math.Abs(report.GradientNorm - step.GradientNorm) / step.GradientNorm, 1e-4, Relative);
        var after = model.state_dict();
        var expected = names.FromReference(step.StateAfter, path);
        var gradients = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter.grad!);
        var scale = Math.Min(1, ModelParity.ClipNorm / (report.GradientNorm + 1e-6));
        var changes = gradients.Keys.Select(name =>
            (name, ChangeError(before[name], after[name], expected[name], gradients[name] * Kept(scale)))
        );
        yield return Worst("change over the step", changes, 1e-3, "norm of difference / norm of change");
        var codebooks = after.Keys.Where(name => !gradients.ContainsKey(name));
        yield return Worst(
            "codebook",
            codebooks.Select(name => (name, ScaledError(after[name], expected[name]))),
            1e-5,
            "absolute, relative above 1"
        );
    }

    /// Adam's first step divides a gradient by its own size, which amplifies rounding where it is near zero: elements under 1e-6 of
    /// their tensor's largest gradient after clipping, or under Adam's ε, are left out.
    private static double ChangeError(Tensor before, Tensor after, Tensor expected, Tensor gradient)
    {
        var size = gradient.abs();
        var kept = size.ge(size.max() * Kept(1e-6)).logical_and(size.ge(Kept(1e-8))).to_type(ScalarType.Float64);
        return NormError(
            (after - before).detach().to_type(ScalarType.Float64) * kept,
            (expected - before).to_type(ScalarType.Float64) * kept
        );
    }

    private static ParityResult Worst(string quantity, IEnumerable<(string Name, double Error)> errors, double tolerance, string measure)
    {
        // NaN sorts first in .NET; here it must be the worst
        var (name, error) = errors.MaxBy(entry => double.IsNaN(entry.Error) ? double.PositiveInfinity : entry.Error);
        return new($"{quantity}, worst: {name}", error, tolerance, measure);
    }

    private static double MaxError(Tensor actual, Tensor expected) =>
        actual.shape.SequenceEqual(expected.shape)
            ? (actual.detach() - expected).abs().max().to_type(ScalarType.Float64).item<double>()
            : double.NaN;

    private static double ScaledError(Tensor actual, Tensor expected) =>
        ((actual.detach() - expected) / expected.abs().clamp_min(Kept(1))).abs().max().to_type(ScalarType.Float64).item<double>();

    private static double RelativeError(Tensor actual, double expected) => Math.Abs(actual.item<float>() - expected) / Math.Abs(expected);

    private static double TotalNorm(IEnumerable<Tensor> tensors) =>
        Math.Sqrt(tensors.Sum(tensor => tensor.Squared().sum(ScalarType.Float64).item<double>()));

    private static double NormError(Tensor actual, Tensor expected)
    {
        var wide = expected.to_type(ScalarType.Float64);
        var difference = (actual.detach().to_type(ScalarType.Float64) - wide).norm().item<double>();
        var norm = wide.norm().item<double>();
        return norm == 0 ? difference : difference / norm;
    }
}

using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using DQ.Core.Quantization;

namespace DQ.Core.Published;

/// <summary>The published implementation's model settings, as texts by its own names, and their meaning here.</summary>
/// <remarks>
/// Defaults are those of its <c>ModelConfig</c>. Its codebooks start from N(0, 1) and revive by its own rule; it reads
/// <c>decay</c> but always trains with 0.99.
/// </remarks>
internal static class PublishedModel
{
    /// <summary>The settings and their defaults.</summary>
    public static IReadOnlyDictionary<string, string> Defaults { get; } =
        new Dictionary<string, string>
        {
            ["in_channel"] = "3",
            ["channel"] = "256",
            ["n_res_block"] = "3",
            ["n_res_channel"] = "256",
            ["n_coder_blocks"] = "2",
            ["embed_dim"] = "64",
            ["n_codebooks"] = "5",
            ["stride"] = "2",
            ["decay"] = "0.99",
            ["loss_name"] = "mse",
            ["vq_type"] = "dq",
            ["beta"] = "0.25",
            ["n_hier"] = "[512]",
            ["n_logistic_mix"] = "10",
        };

    /// <summary>A spec with the given settings, and defaults for the others. The caller reports unknown names.</summary>
    /// <param name="settings">Texts by name.</param>
    /// <param name="where">For messages: the file, and the part of it.</param>
    /// <exception cref="WeightsException">Values cannot be read or are not valid; the message names all of them.</exception>
    public static AutoencoderSpec Spec(IReadOnlyDictionary<string, string> settings, string where)
    {
        // ε is a constant of the released code; parity files state it
        var values = new PublishedValues(settings, new Dictionary<string, string>(Defaults) { ["eps"] = "1e-5" });
        var spec = new AutoencoderSpec
        {
            ImageChannels = values.Integer("in_channel"),
            Channels = values.Integer("channel"),
            ResidualBlocks = values.Integer("n_res_block"),
            ResidualChannels = values.Integer("n_res_channel"),
            CoderBlocks = values.Integer("n_coder_blocks"),
            Stride = values.Integer("stride"),
            CodeCounts = values.Integers("n_hier"),
            Codebooks = values.Integer("n_codebooks"),
            CodeWidth = values.Integer("embed_dim"),
            Initialization = "library",
            Quantizer = new()
            {
                Kind = values.Choice("vq_type", ("dq", DepthwiseQuantizer.Kind), ("vq", VectorQuantizer.Kind)),
                Commitment = values.Number("beta"),
                Decay = values.Number("decay"),
                DecayWarmup = 1,
                Epsilon = values.Number("eps"),
                Initialization = "normal",
                Revival = "published",
            },
            Likelihood = new()
            {
                Kind = values.Choice("loss_name", ("mse", "squared_error"), ("ce", "categorical"), ("mix", "logistic_mixture")),
                Components = values.Integer("n_logistic_mix"),
            },
        };
        string[] problems =
        [
            .. values.Problems,
            .. values.Problems.Count > 0 ? [] : spec.Problems().Select(problem => $"{problem.Key}: {problem.Message}"),
        ];
        return problems.Length == 0 ? spec : throw new WeightsException($"{where}: {string.Join("; ", problems)}");
    }

    /// <summary>
    /// Refuses settings that no model with these tensors can have, before a model of this size is created. Every width is a dimension of
    /// some tensor, and every counted part has a tensor.
    /// </summary>
    /// <param name="spec">Spec that a file describes.</param>
    /// <param name="shapes">Shapes of the tensors in the file.</param>
    /// <param name="where">For messages: the file, and the part of it.</param>
    /// <exception cref="WeightsException">There is such a setting; the message names the first.</exception>
    public static void CheckSize(AutoencoderSpec spec, IReadOnlyDictionary<string, long[]> shapes, string where)
    {
        var widest = shapes.Values.SelectMany(shape => shape).DefaultIfEmpty(0).Max();
        (string Name, long Value, long Most, string What)[] settings =
        [
            ("channel", spec.Channels, widest, "longest side of its tensors"),
            ("n_res_channel", spec.ResidualBlocks == 0 ? 0 : spec.ResidualChannels, widest, "longest side of its tensors"),
            ("embed_dim", spec.CodeWidth, widest, "longest side of its tensors"),
            ("n_hier", spec.CodeCounts.Max(), widest, "longest side of its tensors"),
            (
                "n_logistic_mix",
                spec.Likelihood.Kind == "logistic_mixture" ? spec.Likelihood.Components : 0,
                widest,
                "longest side of its tensors"
            ),
            ("n_res_block", spec.ResidualBlocks, shapes.Count, "number of its tensors"),
            ("n_codebooks", spec.Codebooks, shapes.Count, "number of its tensors"),
        ];
        foreach (var (name, value, most, what) in settings)
            if (value > most)
                throw new WeightsException($"{where}: {name}: expected at most {most}, the {what}, got {value}");
    }

    /// <summary>Settings with another meaning there, one line each.</summary>
    public static IEnumerable<string> Notes(IReadOnlyDictionary<string, string> settings) =>
        settings.TryGetValue("decay", out var decay) && decay != Defaults["decay"]
            ? [$"decay: the published code ignores it and trains with {Defaults["decay"]}; here it is {decay}"]
            : [];
}

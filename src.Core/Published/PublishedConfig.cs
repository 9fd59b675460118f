using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using DQ.Core.Training;

namespace DQ.Core.Published;

/// <summary>The published configuration's <c>[train]</c>.</summary>
/// <param name="Dataset">Name of the data set there, such as <c>cifar10</c>.</param>
/// <param name="Epochs">Passes over the training images.</param>
/// <param name="ImageSize">Width and height in pixels.</param>
/// <param name="BatchSize">Images per step; the last batch of an epoch may be smaller.</param>
/// <param name="LearningRate">Adam's constant learning rate.</param>
public sealed record PublishedTraining(string Dataset, int Epochs, int ImageSize, int BatchSize, double LearningRate)
{
    /// <summary>The same training as settings of this program: plain Adam, gradients clipped at norm 2, float32.</summary>
    /// <param name="images">Training images, of which a step takes <see cref="BatchSize"/>.</param>
    public TrainingSpec Spec(long images) => Spec() with { Steps = Epochs * ((images + BatchSize - 1) / BatchSize) };

    /// <summary>The same without the number of steps, if the number of images is not known.</summary>
    public TrainingSpec Spec() =>
        new()
        {
            BatchSize = BatchSize,
            LearningRate = LearningRate,
            ClipNorm = 2,
        };
}

/// <summary>The published configuration's <c>[test]</c>.</summary>
public sealed record PublishedTest(string ModelPath, string Dataset, int ImageSize, int BatchSize);

/// <summary>An INI configuration of the published implementation: sections <c>[train]</c>, <c>[model]</c>, <c>[test]</c>.</summary>
/// <param name="Model">The model, with the published initialization and revival.</param>
/// <param name="Training">How it is trained.</param>
/// <param name="Test">The section <c>[test]</c>; null if it is missing.</param>
/// <param name="Notes">Settings that have no meaning or another meaning here: one line each, with section and key.</param>
public sealed record PublishedConfig(AutoencoderSpec Model, PublishedTraining Training, PublishedTest? Test, IReadOnlyList<string> Notes)
{
    // defaults of TrainConfig and TestConfig; stats is not a setting
    private static readonly Dictionary<string, string> TrainingDefaults = new()
    {
        ["dataset"] = "cifar10",
        ["save_dir"] = "",
        ["save_path"] = "",
        ["device"] = "cuda",
        ["epochs"] = "200",
        ["eval_itr"] = "-1.0",
        ["test_cutoff"] = "",
        ["use_amp"] = "True",
        ["image_size"] = "32",
        ["batch_size"] = "128",
        ["lr"] = "2e-4",
    };

    private static readonly Dictionary<string, string> TestDefaults = new()
    {
        ["model_path"] = "",
        ["dataset"] = "cifar10",
        ["use_amp"] = "False",
        ["image_size"] = "32",
        ["batch_size"] = "128",
    };

    /// <summary>Reads a file; missing settings have the published defaults.</summary>
    /// <exception cref="WeightsException">The file cannot be read, has none of the sections, or has values of wrong types.</exception>
    public static PublishedConfig Read(string path)
    {
        var sections = IniFile.Read(path);
        var model = sections.GetValueOrDefault("model", []);
        var training = sections.GetValueOrDefault("train", []);
        var test = sections.GetValueOrDefault("test");
        if (!sections.Keys.Intersect(["model", "train", "test"]).Any())
            throw new WeightsException($"{path}: expected a section [model], [train] or [test]");
        string[] notes =
        [
            .. sections
                .Keys.Except(["model", "train", "test"])
                .Select(name => $"[{name}]: no section of the published implementation, ignored"),
            .. Unknown("model", model, PublishedModel.Defaults),
            .. PublishedModel.Notes(model).Select(note => $"model.{note}"),
            .. Unknown("train", training, TrainingDefaults),
            .. training.GetValueOrDefault("use_amp") is "True" or "1"
                ? ["train.use_amp: mixed precision there, float32 here"]
                : Array.Empty<string>(),
            .. Unknown("test", test ?? [], TestDefaults),
        ];
        return new(
            PublishedModel.Spec(model, $"{path}: [model]"),
            Checked(training, TrainingDefaults, $"{path}: [train]", ReadTraining),
            test is null ? null : Checked(test, TestDefaults, $"{path}: [test]", ReadTest),
            notes
        );
    }

    private static PublishedTraining ReadTraining(PublishedValues values) =>
        new(values.Text("dataset"), values.Count("epochs"), values.Count("image_size"), values.Count("batch_size"), values.Number("lr"));

    private static PublishedTest ReadTest(PublishedValues values) =>
        new(values.Text("model_path"), values.Text("dataset"), values.Count("image_size"), values.Count("batch_size"));

    private static T Checked<T>(
        Dictionary<string, string> settings,
        Dictionary<string, string> defaults,
        string where,
        Func<PublishedValues, T> read
    )
    {
        var values = new PublishedValues(settings, defaults);
        var result = read(values);
        return values.Problems.Count == 0 ? result : throw new WeightsException($"{where}: {string.Join("; ", values.Problems)}");
    }

    private static IEnumerable<string> Unknown(
        string section,
        Dictionary<string, string> settings,
        IReadOnlyDictionary<string, string> known
    ) =>
        settings
            .Keys.Where(key => !known.ContainsKey(key))
            .Select(key => $"{section}.{key}: no setting of the published implementation, ignored");
}

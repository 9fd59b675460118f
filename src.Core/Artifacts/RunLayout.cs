namespace DQ.Core.Artifacts;

/// <summary>Names of the files and folders inside the artifacts folder and inside a run's.</summary>
public static class RunLayout
{
    public const string Runs = "runs";
    public const string Datasets = "datasets";
    public const string Chains = "chains";
    public const string Chain = "chain.json";
    public const string ChainCurve = "curve.csv";
    public const string Run = "run.json";
    public const string Lock = "lock.json";

    /// <summary>An empty file that is held open while <see cref="Lock"/> is taken, and during writes under the lock.</summary>
    public const string LockGuard = ".guard";
    public const string Metrics = "metrics.jsonl";
    public const string Events = "events.jsonl";
    public const string Checkpoints = "checkpoints";
    public const string Evaluation = "evaluation.json";

    /// <summary>Folder with a folder for each evaluation beside the run's own: on other images, or with other settings.</summary>
    public const string Evaluations = "evaluations";
    public const string Codebooks = "codebooks.json";
    public const string Density = "density.json";
    public const string Classification = "classification.json";
    public const string Prior = "prior.json";
    public const string Allocation = "allocation.json";
    public const string AllocationCurve = "curve.csv";
    public const string Intervals = "intervals.csv";
    public const string Images = "images";
    public const string Samples = "samples.json";

    /// <summary>Folder in <see cref="Images"/> with a folder of samples for each shown step; eight digits name it.</summary>
    public const string Steps = "steps";

    /// <summary>Folder with the atlas and <see cref="SampleCodes"/>.</summary>
    public const string Codes = "codes";

    /// <summary>
    /// File in <see cref="Codes"/>: the codes of the images of <c>images/samples.json</c>, in their order; array <c>level{l}</c>,
    /// int32 (N, M, H, W).
    /// </summary>
    public const string SampleCodes = "samples.safetensors";
}

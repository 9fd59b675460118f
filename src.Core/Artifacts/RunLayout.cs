namespace DQ.Core.Artifacts;

/// <summary>Names of the files and folders inside the artifacts folder and inside a run's.</summary>
public static class RunLayout
{
    public const string Runs = "runs";
    public const string Run = "run.json";
    public const string Lock = "lock.json";
    public const string Metrics = "metrics.jsonl";
    public const string Events = "events.jsonl";
    public const string Checkpoints = "checkpoints";
    public const string BestCheckpoint = "best.safetensors";
    public const string Evaluation = "evaluation.json";
    public const string Codebooks = "codebooks.json";
    public const string Images = "images";
    public const string Samples = "samples.json";
}

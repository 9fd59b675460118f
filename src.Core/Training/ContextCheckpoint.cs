using System.Text.Json;
using DQ.Core.Formats;
using DQ.Core.Likelihoods.Context;

namespace DQ.Core.Training;

/// <summary>A checkpoint of a context head alone, which is a model without levels.</summary>
public sealed class ContextCheckpoint : CheckpointFile
{
    /// <summary>The kind of these checkpoints.</summary>
    public const string KindName = "context";

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private ContextCheckpoint(string path)
        : base(path)
    {
        try
        {
            Spec = Read(SpecOf(KindName), $"{path}: spec");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public ContextSpec Spec { get; }

    /// <exception cref="WeightsException">Not a checkpoint of a context head that this program reads; the message names file and
    /// expectation.</exception>
    public static ContextCheckpoint Open(string path) => new(path);

    /// <summary>Writes the head and, when given, its optimizer and its moving average; the file is written completely or not at
    /// all.</summary>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public static void Write(
        string path,
        ContextHead head,
        AdamOptimizer? optimizer,
        TrainingProgress progress,
        WeightAverage? average = null
    ) => Write(path, KindName, JsonSerializer.Serialize(head.Spec, Json), head, optimizer, progress, average);

    /// <summary>The head with its weights.</summary>
    /// <exception cref="WeightsException">Some of them are not finite, so that no result would have a meaning.</exception>
    public ContextHead Head()
    {
        var head = new ContextHead(Spec);
        Fill(head);
        if (FiniteValues.Problem(head.state_dict()) is not { } problem)
            return head;
        head.Dispose();
        throw new WeightsException($"{Path}: no number of this model would mean anything: {problem}");
    }

    private static ContextSpec Read(string json, string where)
    {
        try
        {
            var spec =
                JsonSerializer.Deserialize<ContextSpec>(json, Json) ?? throw new WeightsException($"{where}: expected an object, got null");
            return spec.Problems().FirstOrDefault() is { } problem
                ? throw new WeightsException($"{where}: {problem.Key}: {problem.Message}")
                : spec;
        }
        catch (JsonException error)
        {
            throw new WeightsException($"{where}: {error.Message}", error);
        }
    }
}

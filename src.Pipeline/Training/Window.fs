namespace DQ.Pipeline.Training

open System.Numerics
open System.Text.Json.Serialization
open DQ.Core.Artifacts
open DQ.Core.Training
open DQ.Pipeline

/// Sums over the steps since the last line of metrics.jsonl. They are saved with checkpoints, so that a resumed run
/// writes exactly the lines of an undisturbed run.
type Window = {
    /// Number of steps that were not skipped.
    Steps: int
    Skipped: int
    Images: int64
    Seconds: float
    Loss: float
    /// The loss by which the model is judged. Its JSON name is from the time when all models reconstructed.
    [<JsonPropertyName "reconstruction">]
    Judged: float
    Latent: float
    GradientNorm: float
    LearningRate: float
    /// Sums per level and codebook.
    Perplexity: float[][]
    Revived: int64[][]
    /// Per level and codebook, one bit per code, which is set if none of the steps chose it; empty before the first
    /// step.
    Idle: byte[][][]
}

module Window =
    let empty (levels: int) codebooks = {
        Steps = 0
        Skipped = 0
        Images = 0L
        Seconds = 0.0
        Loss = 0.0
        Judged = 0.0
        Latent = 0.0
        GradientNorm = 0.0
        LearningRate = 0.0
        Perplexity = Array.init levels (fun _ -> Array.zeroCreate codebooks)
        Revived = Array.init levels (fun _ -> Array.zeroCreate codebooks)
        Idle = [||]
    }

    let private plus (sums: 'a[][]) (add: 'a -> 'a -> 'a) (terms: 'a[] seq) =
        Seq.map2 (Array.map2 add) sums terms |> Array.ofSeq

    let private still window (levels: LevelReport seq) =
        let now = [| for level in levels -> level.Idle |]

        if window.Steps = 0 then
            now
        // if the codes of some steps are unknown, the bits are no longer known
        elif window.Idle.Length = 0 then
            window.Idle
        else
            (window.Idle, now) ||> Array.map2 (Array.map2 (Array.map2 (&&&)))

    /// Adds a step. A skipped step is counted, but its numbers are not used.
    let add (images: int64) (seconds: float) (report: StepReport) window =
        let timed = {
            window with
                Images = window.Images + images
                Seconds = window.Seconds + seconds
                LearningRate = report.LearningRate
        }

        if report.Skipped then
            {
                timed with
                    Skipped = window.Skipped + 1
            }
        else
            {
                timed with
                    Steps = window.Steps + 1
                    Loss = window.Loss + report.Loss
                    Judged = window.Judged + report.Judged
                    Latent = window.Latent + report.Latent
                    GradientNorm = window.GradientNorm + report.GradientNorm
                    Perplexity = plus window.Perplexity (+) (report.Levels |> Seq.map _.Perplexity)
                    Revived = plus window.Revived (+) (report.Levels |> Seq.map _.Revived)
                    Idle = still window report.Levels
            }

    let isEmpty window = window.Steps + window.Skipped = 0

    /// Mean perplexity per level and codebook; None if every step was skipped.
    let meanPerplexity window =
        if window.Steps = 0 then
            None
        else
            Some(window.Perplexity |> Array.map (Array.map (fun sum -> sum / float window.Steps)))

    /// The mean of the judged loss; None if every step was skipped.
    let private mean window sum =
        if window.Steps = 0 then
            None
        else
            Some(sum / float window.Steps)

    let judged window = mean window window.Judged

    let private setBits (bits: byte[]) =
        bits |> Array.sumBy (fun byte -> BitOperations.PopCount(uint32 byte))

    /// The line of metrics.jsonl, made from a line with the position of training and the judged loss.
    let line window (where: MetricsRecord) : MetricsRecord =
        where.Trained(
            Option.toNullable (mean window window.Loss),
            Option.toNullable (mean window window.Latent),
            window.LearningRate,
            Option.toNullable (mean window window.GradientNorm),
            window.Skipped,
            (if window.Seconds > 0.0 then
                 Some(float window.Images / window.Seconds)
             else
                 None)
            |> Option.toNullable,
            match meanPerplexity window with
            | None -> null
            | Some perplexity -> [|
                for level, (perplexity, revived) in Seq.indexed (Seq.zip perplexity window.Revived) ->
                    let dead = Array.tryItem level window.Idle |> Option.map (Array.map setBits)
                    LevelMetrics(perplexity, revived, Option.toObj dead)
              |]
        )

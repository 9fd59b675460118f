namespace DQ.Pipeline.Training

open System.Numerics
open System.Text.Json.Serialization
open DQ.Core.Artifacts
open DQ.Core.Training
open DQ.Pipeline

/// What happened since the last line of metrics.jsonl, as sums; saved with checkpoints, so that a run taken up again
/// writes the very lines an undisturbed one does.
type Window = {
    /// Steps that learned.
    Steps: int
    Skipped: int
    Images: int64
    Seconds: float
    Loss: float
    /// The loss the model is judged by, under the name it had when all of them reconstructed.
    [<JsonPropertyName "reconstruction">]
    Judged: float
    Latent: float
    GradientNorm: float
    LearningRate: float
    /// Sums per level and codebook.
    Perplexity: float[][]
    Revived: int64[][]
    /// Per level and codebook, a bit per code: set where none of the steps chose it; empty before the first.
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
        // of steps whose codes nobody knows nothing can be said any more
        elif window.Idle.Length = 0 then
            window.Idle
        else
            (window.Idle, now) ||> Array.map2 (Array.map2 (Array.map2 (&&&)))

    /// One more step. A skipped one counts, but its numbers are no numbers.
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

    /// Mean perplexity per level and codebook; None when every step was skipped.
    let meanPerplexity window =
        if window.Steps = 0 then
            None
        else
            Some(window.Perplexity |> Array.map (Array.map (fun sum -> sum / float window.Steps)))

    /// The mean judged loss; None when every step was skipped.
    let private mean window sum =
        if window.Steps = 0 then
            None
        else
            Some(sum / float window.Steps)

    let judged window = mean window window.Judged

    let private setBits (bits: byte[]) =
        bits |> Array.sumBy (fun byte -> BitOperations.PopCount(uint32 byte))

    /// The line of metrics.jsonl, made from one that says where training is and what the judged loss was.
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

/// The checkpoints folder of a run: the last ones with their loop states, and the best by validation.
module DQ.Pipeline.Checkpoints

open System.IO
open DQ.Core.Artifacts
open DQ.Core.Training

let private folder run =
    Path.Combine(run, RunLayout.Checkpoints)

let private file run (step: int64) extension =
    Path.Combine(folder run, $"step-{step:D8}{extension}")

let weights run step = file run step ".safetensors"

let best run =
    Path.Combine(folder run, RunLayout.BestCheckpoint)

/// Loop states, the latest first. A checkpoint counts once its state is there, which is written after its weights.
let private states run : string[] =
    if Directory.Exists(folder run) then
        Directory.GetFiles(folder run, "step-*.json") |> Array.sortDescending
    else
        [||]

/// Where to go on from.
let latest run : LoopState option =
    states run |> Array.tryHead |> Option.map ArtifactJson.Read<LoopState>

/// Writes a checkpoint, its tensors by `write` to the path given, and then its state.
let add run (write: string -> unit) (state: LoopState) =
    Directory.CreateDirectory(folder run) |> ignore
    write (weights run state.Step)
    ArtifactJson.Write(file run state.Step ".json", state)

/// Writes a checkpoint, then removes the ones beyond the last `keep` and what writes cut short left behind.
let save run keep (session: TrainingSession) (state: LoopState) =
    add run session.Save state

    for old in states run |> Array.skip (min keep (states run).Length) do
        File.Delete old
        File.Delete(nonNull (Path.ChangeExtension(old, ".safetensors")))

    for left in Directory.GetFiles(folder run, "*.tmp") do
        File.Delete left

/// Replaces the best checkpoint; it is for evaluation and holds no optimizer.
let saveBest run (session: TrainingSession) =
    Directory.CreateDirectory(folder run) |> ignore

    let progress =
        TrainingProgress(
            session.Seed,
            session.StepsDone,
            session.ImagesSeen,
            session.CodebooksReady,
            session.RateFactor,
            0L
        )

    Checkpoint.Write(best run, session.Model, null, progress)

/// The checkpoint an evaluation asks for: `last` or `best` (by validation; the last where nothing was validated).
let choose run (which: string) : Result<string, StageError> =
    match latest run with
    | _ when which = "best" && File.Exists(best run) -> Ok(best run)
    | Some state -> Ok(weights run state.Step)
    | None -> Error(Data $"{folder run}: expected a checkpoint, found none")

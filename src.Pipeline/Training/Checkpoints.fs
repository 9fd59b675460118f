/// The checkpoints folder of a run: the last ones with their loop states, and the best by validation.
/// A checkpoint exists when its state file exists, which is written after its tensors, by one rename.
module DQ.Pipeline.Training.Checkpoints

open System
open System.IO
open System.Security.Cryptography
open System.Text.Json
open DQ.Core.Artifacts
open DQ.Core.Training
open DQ.Core.Formats
open DQ.Pipeline

let private folder run =
    Path.Combine(run, RunLayout.Checkpoints)

let private file run kind (step: int64) extension =
    Path.Combine(folder run, $"{kind}-{step:D8}{extension}")

let weights run step = file run "step" step ".safetensors"

let private stateFile run step = file run "step" step ".json"

let private bestAt run step = file run "best" step ".safetensors"

let private checksum (state: LoopState) =
    JsonSerializer.SerializeToUtf8Bytes({ state with Checksum = null }, ArtifactJson.Options)
    |> SHA256.HashData
    |> Convert.ToHexStringLower

let private write run (state: LoopState) =
    ArtifactJson.Write(stateFile run state.Step, { state with Checksum = checksum state })

/// Throws an `ArtifactException` if the state is damaged.
let private read (file: string) : LoopState =
    let state = ArtifactJson.Read<LoopState> file

    if not (isNull state.Checksum) && state.Checksum <> checksum state then
        raise (ArtifactException $"{file}: damaged: its content is not what its checksum says")

    { state with Checksum = null }

/// The latest first.
let private stateFiles run =
    if Directory.Exists(folder run) then
        Directory.GetFiles(folder run, "step-*.json") |> Array.sortDescending
    else
        [||]

/// The latest first.
let private states run : LoopState seq = stateFiles run |> Seq.map read

/// The existing checkpoints, the earliest first.
let all run : LoopState list = states run |> List.ofSeq |> List.rev

/// The checkpoint from which to continue.
let latest run : LoopState option = Seq.tryHead (states run)

/// The latest checkpoint to which training may go back.
let latestWhere run (good: LoopState -> bool) : LoopState option = states run |> Seq.tryFind good

/// The reason why training can't continue from the checkpoint of a state file, if there is one. State and tensors are
/// compared with their checksums.
let private look run (file: string) : Result<LoopState, string> =
    try
        let state = read file
        use tensors = new CheckpointFile(weights run state.Step)

        if tensors.Progress.StepsDone = state.Step then
            Ok state
        else
            Error
                $"{tensors.Path}: expected the tensors of step {state.Step}, got those of step {tensors.Progress.StepsDone}"
    with
    | :? ArtifactException
    | :? WeightsException
    | :? IOException
    | :? UnauthorizedAccessException as problem -> Error problem.Message

/// The checkpoint from which to continue: the latest undamaged one, and the problems of the later ones.
let newestWhole run : LoopState option * string list =
    let rec search files problems =
        match files with
        | [] -> None, List.rev problems
        | file :: earlier ->
            match look run file with
            | Ok state -> Some state, List.rev problems
            | Error problem -> search earlier (problem :: problems)

    search (List.ofArray (stateFiles run)) []

/// The problem of the checkpoint of a step, which must be the newest.
let damage run (step: int64) : string option =
    match stateFiles run |> Array.tryHead with
    | None -> Some $"{folder run}: expected the checkpoint of step {step}, found none"
    | Some file ->
        match look run file with
        | Error problem -> Some problem
        | Ok state when state.Step <> step ->
            Some $"{folder run}: expected the checkpoint of step {step}, the newest is of step {state.Step}"
        | Ok _ -> None

/// Removes the checkpoints after a step.
let dropAfter run (step: int64) =
    for file in stateFiles run do
        if step < 0L || String.CompareOrdinal(file, stateFile run step) > 0 then
            File.Delete file

/// The counters in a checkpoint's tensors.
let progress run step : TrainingProgress =
    use checkpoint = new CheckpointFile(weights run step)
    checkpoint.Progress

/// The best checkpoint by validation up to the latest checkpoint.
let best run : string option =
    latest run |> Option.bind _.BestStep |> Option.map (bestAt run)

/// Writes a checkpoint: its tensors by `writeTensors` to the given path, and then its state.
let add run (writeTensors: string -> unit) (state: LoopState) =
    Directory.CreateDirectory(folder run) |> ignore
    writeTensors (weights run state.Step)
    write run state

/// Whether training can continue from the checkpoint of a step.
let hasOptimizer run step =
    use checkpoint = new CheckpointFile(weights run step)
    checkpoint.HasOptimizer

/// Copies a checkpoint and the best model before it to another run. They are valid there when the state exists.
let copy run (state: LoopState) target =
    Directory.CreateDirectory(folder target) |> ignore

    for step in Option.toList state.BestStep do
        File.Copy(bestAt run step, bestAt target step, overwrite = true)

    File.Copy(weights run state.Step, weights target state.Step, overwrite = true)
    write target state

/// Removes tensors without a state: those of removed or unfinished checkpoints, and of earlier best models.
let private tidy run =
    let states = all run

    let owned =
        set [
            for state in states do
                weights run state.Step

                if state.BestStep.IsSome then
                    bestAt run state.BestStep.Value
        ]

    for tensors in Directory.GetFiles(folder run, "*.safetensors") do
        if not (owned.Contains tensors) then
            File.Delete tensors

/// Writes a checkpoint and keeps the last regular ones, `keep` in all. A checkpoint made because a run was stopped is
/// not regular. It is removed when the next is written, so that a stopped run leaves the same files as another.
let save run keep (regular: LoopState -> bool) (session: TrainingSession) (state: LoopState) =
    add run session.Save state

    let kept =
        states run
        |> Seq.filter (fun other -> other.Step <> state.Step && regular other)
        |> Seq.truncate (if regular state then keep - 1 else keep)
        |> Seq.map _.Step
        |> Set.ofSeq
        |> Set.add state.Step

    for old in all run do
        if not (kept.Contains old.Step) then
            File.Delete(stateFile run old.Step)

    tidy run

/// Goes back to the checkpoint of this state's step, whose tensors do not change. Later checkpoints are removed. Before
/// the last line, which is one rename, the run has not changed.
let goBack run (state: LoopState) =
    for later in all run do
        if later.Step > state.Step then
            File.Delete(stateFile run later.Step)

    write run state

/// Writes the model as a candidate for the best; the next checkpoint makes it the best. It is for evaluation and has no
/// optimizer.
let saveBest run (session: TrainingSession) =
    Directory.CreateDirectory(folder run) |> ignore
    session.SaveModel(bestAt run session.StepsDone)

/// The checkpoint for an evaluation: `last` or `best` (by validation; the last one if there was no validation).
let choose run (which: string) : Result<string, StageError> =
    match latest run with
    | None -> Error(Data $"{folder run}: expected a checkpoint, found none")
    | Some state when which = "best" && state.BestStep.IsSome -> Ok(bestAt run state.BestStep.Value)
    | Some state -> Ok(weights run state.Step)

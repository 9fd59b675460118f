/// The checkpoints folder of a run: the last ones with their loop states, and the best by validation.
/// A checkpoint counts from the moment its state is there, which is written after its tensors, in one step.
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

/// An `ArtifactException` where it is not what was written.
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

/// What there is, the earliest first.
let all run : LoopState list = states run |> List.ofSeq |> List.rev

/// Where to go on from.
let latest run : LoopState option = Seq.tryHead (states run)

/// The latest that training may go back to.
let latestWhere run (good: LoopState -> bool) : LoopState option = states run |> Seq.tryFind good

/// Why the checkpoint of a state file can't be gone on from, if so: its state and its tensors are read and compared with their checksums.
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

/// Where to go on from: the latest checkpoint that is whole, and of the later ones what is wrong with them.
let newestWhole run : LoopState option * string list =
    let rec search files problems =
        match files with
        | [] -> None, List.rev problems
        | file :: earlier ->
            match look run file with
            | Ok state -> Some state, List.rev problems
            | Error problem -> search earlier (problem :: problems)

    search (List.ofArray (stateFiles run)) []

/// What is wrong with the checkpoint of a step, which is to be the newest.
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

/// The best by validation up to the latest checkpoint.
let best run : string option =
    latest run |> Option.bind _.BestStep |> Option.map (bestAt run)

/// Writes a checkpoint, its tensors by `writeTensors` to the path given, and then its state.
let add run (writeTensors: string -> unit) (state: LoopState) =
    Directory.CreateDirectory(folder run) |> ignore
    writeTensors (weights run state.Step)
    write run state

/// Whether training can go on from the checkpoint of a step.
let hasOptimizer run step =
    use checkpoint = new CheckpointFile(weights run step)
    checkpoint.HasOptimizer

/// Brings a checkpoint and the best model before it to another run, which has them when the state is there.
let copy run (state: LoopState) target =
    Directory.CreateDirectory(folder target) |> ignore

    for step in Option.toList state.BestStep do
        File.Copy(bestAt run step, bestAt target step, overwrite = true)

    File.Copy(weights run state.Step, weights target state.Step, overwrite = true)
    write target state

/// Removes tensors that belong to no state: of checkpoints dropped or never finished, and of what is no longer the best.
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

/// Writes a checkpoint and keeps with it the last regular ones, `keep` in all. One made because a run was stopped is no
/// regular one: it goes when the next is written, so that a run that was stopped leaves what another leaves.
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

/// Goes back to the checkpoint of this state's step, whose tensors stay as they are; what came after it is gone.
/// Until its last line, which is one step, the run is where it was.
let goBack run (state: LoopState) =
    for later in all run do
        if later.Step > state.Step then
            File.Delete(stateFile run later.Step)

    write run state

/// Writes the model as the best so far, which the next checkpoint makes it. It is for evaluation and holds no optimizer.
let saveBest run (session: TrainingSession) =
    Directory.CreateDirectory(folder run) |> ignore
    session.SaveModel(bestAt run session.StepsDone)

/// The checkpoint an evaluation asks for: `last` or `best` (by validation; the last where nothing was validated).
let choose run (which: string) : Result<string, StageError> =
    match latest run with
    | None -> Error(Data $"{folder run}: expected a checkpoint, found none")
    | Some state when which = "best" && state.BestStep.IsSome -> Ok(bestAt run state.BestStep.Value)
    | Some state -> Ok(weights run state.Step)

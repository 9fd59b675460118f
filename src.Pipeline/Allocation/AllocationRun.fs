/// What the stages of allocation share as runs: records, claims and how they end.
module DQ.Pipeline.Allocation.AllocationRun

open System
open System.Text.Json.Nodes
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Allocation.CutNetwork
open FsToolkit.ErrorHandling

/// A stage of a subject as a run.
type Plan = {
    /// `intervals` or `allocate`.
    Stage: string
    Title: string
    Subject: Subject
    Fingerprint: string
    /// What run.json says of the settings.
    Settings: JsonObject
    Parents: Parent list
    /// What StepsDone counts up to.
    Steps: int
}

/// The settings, some keys of the allocation only.
let settings title (subject: Subject) (keys: string list) =
    let allocation = Shape.tree AllocationConfig.fields
    let said = Shape.tree (Shape.fields subject.Config)
    let tree = JsonObject()
    let kept = JsonObject()

    for pair in allocation do
        if keys.IsEmpty || List.contains pair.Key keys then
            kept[pair.Key] <- said[pair.Key] |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj

    tree["name"] <- JsonValue.Create(title: string)
    tree["seed"] <- JsonValue.Create subject.Seed
    tree["data"] <- Shape.tree (Shape.fields subject.Data)
    tree["allocation"] <- kept
    tree

/// Of what the output depends on: settings but for places of files and the name, the network, the images.
let fingerprint (stage: string) version (settings: JsonObject) (parents: Parent list) =
    let tree = settings.DeepClone().AsObject()

    for key in [ "name"; "data" ] do
        tree.Remove key |> ignore

    for key in [ "weights"; "run" ] do
        (nonNull tree["allocation"]).AsObject().Remove key |> ignore

    Fingerprint.ofParts [
        stage
        string<int> version
        ConfigTree.canonical tree
        for parent in parents do
            parent.Fingerprint
    ]

let private describe (context: StageContext) (plan: Plan) id : RunRecord =
    let now = DateTime.UtcNow

    RunRecord(
        Id = id,
        Name = plan.Title,
        Stage = plan.Stage,
        Status = RunStatus.Running,
        Fingerprint = plan.Fingerprint,
        Seed = plan.Subject.Seed,
        Config = plan.Settings,
        Parents = List.toArray plan.Parents,
        Software = context.Software,
        Device = context.Device,
        Threads = Environment.ProcessorCount,
        StartedUtc = now,
        UpdatedUtc = now,
        Steps = int64 plan.Steps
    )

/// Finds the run or begins it, works under its lock, and says how it ended. `found` reads the output of a finished one.
let execute
    (context: StageContext)
    (plan: Plan)
    (found: string -> RunRecord -> Result<'output, StageError>)
    (work: string -> RunLock -> RunFile -> Result<unit, StageError>)
    : Result<'output, StageError> =
    let perform folder held (begun: RunRecord) =
        let file = RunFile(folder, held, begun)

        let outcome =
            try
                file.Save(_.Ended(RunStatus.Running, null, DateTime.UtcNow)) |> ignore
                work folder held file
            with error ->
                match Stage.expected context.Stopped error with
                | Some failure -> Error failure
                | None ->
                    file.TryEnd(RunStatus.Failed, Stage.firstLine error)
                    reraise ()

        match outcome with
        | Ok() -> found folder (file.Save(_.Ended(RunStatus.Completed, null, DateTime.UtcNow)))
        | Error error ->
            file.TryEnd error
            Error error

    result {
        match! Store.claim context.Store plan.Title plan.Fingerprint context.Force (describe context plan) with
        | Finished(folder, record) -> return! found folder record
        | Resumed(folder, record, held)
        | Fresh(folder, record, held) ->
            use _ = held
            return! perform folder held record
    }

/// The finished output, if the store has it.
let tryFind (context: StageContext) title fingerprint (found: string -> RunRecord -> Result<'output, StageError>) =
    result {
        let! runs = Store.ofFingerprint context.Store title fingerprint

        match runs |> List.tryFind (fun (_, record) -> record.Status = RunStatus.Completed) with
        | Some(run, record) ->
            let! output = found run.Folder record
            return Some output
        | None -> return None
    }

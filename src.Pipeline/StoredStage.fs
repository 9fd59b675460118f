/// Stages whose output is in the store: a run, or a result in the folder of its run. Only this file finds, claims,
/// locks, begins and ends runs.
module DQ.Pipeline.StoredStage

open System
open System.Text.Json.Nodes
open System.Threading
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open FsToolkit.ErrorHandling
open TorchSharp

/// The title of runs with this name and variant, in folders and in progress.
let titleOf name variant =
    if variant = "" then name else $"{name}-{variant}"

/// The content of run.json before a run begins.
type Description = {
    Kind: RunKind
    /// The title in folders and in progress.
    Title: string
    Name: string
    /// Empty if a configuration has no variants.
    Variant: string
    Seed: int64
    /// The resolved settings.
    Config: JsonObject
    /// Number of its steps.
    Steps: int64
    Notes: string list
}

/// A stage whose output is a run.
type RunStage<'i, 'o> = {
    /// Name in messages and plans, such as `train quickstart-dq`.
    Name: string
    Description: Description
    /// Raised when the same input and settings give another output than before.
    Version: int
    /// What the output depends on besides kind and version: the settings, and the fingerprints of the input's
    /// artifacts, which are the argument.
    DependsOn: Standing -> string list -> string list
    Parents: Standing -> 'i -> Parent list
    /// Prepares the work. If the work can't begin, it ends here and leaves no run.
    Begin: StageContext -> torch.Device -> 'i -> Result<RunFile -> Result<unit, StageError>, StageError>
    /// The damage in the folder of a finished run, because of which work must continue.
    Damage: string -> RunRecord -> string option
    /// The output of a finished run.
    Read: 'i -> string -> RunRecord -> Result<'o, StageError>
}

let private fingerprintOf (stage: RunStage<'i, 'o>) standing parts =
    Fingerprint.ofParts [
        stage.Description.Kind.Name()
        string stage.Version
        yield! stage.DependsOn standing parts
    ]

/// Whether a run is finished and undamaged.
let private isWhole (stage: RunStage<'i, 'o>) folder (record: RunRecord) =
    record.Status = RunStatus.Completed && (stage.Damage folder record).IsNone

/// Finished runs of a fingerprint, the latest first.
let completed (standing: Standing) (fingerprint: string) : (string * RunRecord) list =
    standing.Runs()
    |> List.choose (fun run ->
        match run.Record with
        | Ok record when record.Fingerprint = fingerprint && record.Status = RunStatus.Completed ->
            Some(run.Folder, record)
        | _ -> None)
    |> List.sortByDescending (fun (_, record) -> record.StartedUtc)

/// The run to use for a fingerprint, preferably a finished one. None if there is none, or if all work is to be
/// repeated.
let private standingOf (standing: Standing) title fingerprint =
    if standing.Force then
        Ok None
    else
        match completed standing fingerprint with
        | latest :: _ -> Ok(Some latest)
        | [] ->
            Store.ofFingerprint (standing.Runs()) title fingerprint
            |> Result.map (List.tryHead >> Option.map (fun (run, record) -> run.Folder, record))

/// Dotted keys whose values differ between two trees.
let rec private differences prefix (a: JsonObject) (b: JsonObject) : string list = [
    for pair in b do
        let key = prefix + pair.Key

        match a[pair.Key], pair.Value with
        | (:? JsonObject as a), (:? JsonObject as b) -> yield! differences (key + ".") a b
        | a, b when ConfigTree.canonical a <> ConfigTree.canonical b ->
            $"{key} {ConfigTree.canonical a} → {ConfigTree.canonical b}"
        | _ -> ()
]

/// The reason why no run has this fingerprint: the differences from the latest run of the same name.
let private whyMake (standing: Standing) (description: Description) =
    let isOfTheName (run: StoredRun) =
        match run.Record with
        | Ok record when
            (record.Name, record.Variant, record.Kind) = (description.Name, description.Variant, description.Kind)
            ->
            Some record
        | _ -> None

    if standing.Force then
        "asked for by --force"
    else
        match standing.Runs() |> List.choose isOfTheName with
        | [] -> "no run of this name"
        | runs ->
            let latest = runs |> List.maxBy _.StartedUtc

            match differences "" latest.Config description.Config with
            | [] -> $"differs from {latest.Id}: its input changed"
            | changes -> $"""differs from {latest.Id}: {String.concat ", " changes}"""

let private describe (context: StageContext) (device: torch.Device) (stage: RunStage<'i, 'o>) fingerprint input id =
    let description = stage.Description
    let now = DateTime.UtcNow

    RunRecord(
        Id = id,
        Name = description.Name,
        Variant = description.Variant,
        Kind = description.Kind,
        Status = RunStatus.Running,
        Fingerprint = fingerprint,
        Seed = description.Seed,
        Config = description.Config,
        Parents = List.toArray (stage.Parents context.Standing input),
        Notes = List.toArray description.Notes,
        Software = context.Software,
        Device = device.ToString(),
        Threads = torch.get_num_threads (),
        StartedUtc = now,
        UpdatedUtc = now,
        Steps = description.Steps
    )

/// Works in a locked run, from its beginning to any kind of end.
let private perform (context: StageContext) (device: torch.Device) (work: RunFile -> Result<unit, StageError>) file =
    let outcome =
        try
            Stage.attempt context.Stopped (fun () ->
                (file: RunFile)
                    .Save(
                        _.Begun(
                            context.Software,
                            device.ToString(),
                            torch.get_num_threads (),
                            DateTime.UtcNow,
                            (if context.Team.IsAlone then
                                 Nullable()
                             else
                                 Nullable context.Team.Ranks.Count)
                        )
                    )

                work file)
        with error ->
            // a bug: run.json says that the run failed
            file.TryEnd(RunStatus.Failed, Stage.firstLine error)
            reraise ()

    match outcome with
    | Ok() ->
        file.Save(_.Ended(RunStatus.Completed, null, DateTime.UtcNow))
        Ok file.Record
    | Error error ->
        file.TryEnd error
        Error error

let private unknown name : Planned<'o> = {
    Fingerprint = Fingerprint.Unknown
    Steps = [
        {
            Stage = name
            Action = Action.Make
            Why = "its input is not known yet"
        }
    ]
    Finished = None
}

let private named fingerprint value = {
    Fingerprint = Fingerprint.Of fingerprint
    Value = value
}

let private planRun (stage: RunStage<'i, 'o>) standing (input: Planned<'i>) =
    let step action why finished fingerprint = {
        Fingerprint = Fingerprint.Of fingerprint
        Steps = [
            {
                Stage = stage.Name
                Action = action
                Why = why
            }
        ]
        Finished = finished
    }

    result {
        match Fingerprint.parts input.Fingerprint with
        | None -> return unknown stage.Name
        | Some parts ->
            let fingerprint = fingerprintOf stage standing parts

            match! standingOf standing stage.Description.Title fingerprint with
            | Some(folder, record) when isWhole stage folder record ->
                let! output =
                    input.Finished
                    |> Option.traverseResult (fun input -> stage.Read input.Value folder record)

                return step Action.Reuse record.Id (output |> Option.map (named fingerprint)) fingerprint
            | Some(folder, record) ->
                let why =
                    match record.Status, stage.Damage folder record with
                    | RunStatus.Completed, Some damage -> damage
                    | _ -> $"{record.Id}, {Store.status folder record} at step {record.StepsDone} of {record.Steps}"

                return step Action.Continue why None fingerprint
            | None -> return step Action.Make (whyMake standing stage.Description) None fingerprint
    }

/// A run, and whether nothing is left to do in it: what the leader of a team tells the others.
type FoundRun = {
    Folder: string
    Record: RunRecord
    IsWhole: bool
}

/// Works in a run that the leader claimed, and writes there where this process is the leader.
let private together (context: StageContext) device work (found: FoundRun) (held: RunLock option) =
    if
        context.KeepThreads
        && context.Team.IsAlone
        && found.Record.Threads <= Environment.ProcessorCount
    then
        torch.set_num_threads found.Record.Threads

    result {
        let! ended = perform context device work (RunFile(found.Folder, held, found.Record))
        // the others' have other times
        let! ended = context.Team.FromLeader(fun () -> Ok ended)
        return found.Folder, ended
    }

/// Claims a run, or hears which one the leader claimed, and works in it unless it is finished.
let private claimAndWork (context: StageContext) device (stage: RunStage<'i, 'o>) fingerprint describe work =
    let team = context.Team

    let found folder record isWhole = {
        Folder = folder
        Record = record
        IsWhole = isWhole
    }

    let told claim =
        match claim with
        | Finished(folder, record) -> found folder record true
        | Resumed(folder, record, _)
        | Fresh(folder, record, _) -> found folder record false

    let claim () =
        Stage.attempt context.Stopped (fun () ->
            Store.claim
                context.Store
                stage.Description.Title
                fingerprint
                context.Standing.Force
                (isWhole stage)
                describe)
        |> team.Tell told

    if team.Leads then
        result {
            match! claim () with
            | Finished(folder, record) -> return folder, record
            | Resumed(_, _, held)
            | Fresh(_, _, held) as claimed ->
                use _ = held
                return! together context device work (told claimed) (Some held)
        }
    else
        result {
            match! team.Hear() with
            | { IsWhole = true } as found -> return found.Folder, found.Record
            | found -> return! together context device work found None
        }

/// The same run may have been requested under another name.
let private noteName (context: StageContext) (description: Description) (record: RunRecord) =
    if (record.Name, record.Variant) <> (description.Name, description.Variant) then
        context.Note
            $"{description.Title}: run {record.Id} has the same settings and input under the name {titleOf record.Name record.Variant}; it is used and keeps its name"

let private runRun (stage: RunStage<'i, 'o>) (context: StageContext) (input: Artifact<'i>) =
    Stage.inBackground context (fun () ->
        result {
            let parts = Fingerprint.parts input.Fingerprint |> Option.defaultValue []
            let fingerprint = fingerprintOf stage context.Standing parts
            let title = stage.Description.Title
            let team = context.Team
            do! team.Same($"settings and input of {title} (fingerprint)", fingerprint[..11])

            let! standing =
                Stage.fromLeader context (fun () ->
                    standingOf context.Standing title fingerprint
                    |> Result.map (
                        Option.map (fun (folder, record) -> {
                            Folder = folder
                            Record = record
                            IsWhole = isWhole stage folder record
                        })
                    ))

            match standing with
            | Some {
                       Folder = folder
                       Record = record
                       IsWhole = true
                   } ->
                context.Note $"{stage.Name}: done before, reused"
                noteName context stage.Description record
                let! output = team.Agree(stage.Read input.Value folder record)
                return named fingerprint output
            | _ ->
                let! device, work =
                    Stage.attempt context.Stopped (fun () ->
                        result {
                            let! device = Device.ofRank team context.Device
                            let! work = stage.Begin context device input.Value
                            return device, work
                        })
                    |> team.Agree

                let describe = describe context device stage fingerprint input.Value
                let! folder, record = claimAndWork context device stage fingerprint describe work
                let! output = team.Agree(stage.Read input.Value folder record)
                return named fingerprint output
        })

/// A stage whose output is a run.
let ofRun (stage: RunStage<'i, 'o>) : Stage<'i, 'o> = {
    Name = stage.Name
    Plan = planRun stage
    Run = runRun stage
}

/// A stage whose output is a file in the folder of its run.
type ResultStage<'i, 'r, 'o> = {
    Name: string
    /// The result's fingerprint, from those of the input's artifacts. The first of these is the run's.
    Fingerprint: string list -> string
    /// The run's folder.
    Folder: 'i -> string
    /// The result in a run's folder, if it has this fingerprint.
    Find: string -> string -> 'r option
    Output: 'i -> 'r -> 'o
    /// Makes the result under the run's lock; the result contains the fingerprint.
    Work: StageContext -> torch.Device -> string -> 'i -> RunFile -> Result<'o, StageError>
}

let private planResult (stage: ResultStage<'i, 'r, 'o>) (standing: Standing) (input: Planned<'i>) =
    match Fingerprint.parts input.Fingerprint with
    | None
    | Some [] -> Ok(unknown stage.Name)
    | Some(run :: _ as parts) ->
        let fingerprint = stage.Fingerprint parts

        let step action why finished = {
            Fingerprint = Fingerprint.Of fingerprint
            Steps = [
                {
                    Stage = stage.Name
                    Action = action
                    Why = why
                }
            ]
            Finished = finished
        }

        let folder =
            match input.Finished with
            | _ when standing.Force -> None
            | Some input -> Some(stage.Folder input.Value)
            | None -> completed standing run |> List.tryHead |> Option.map fst

        match folder, folder |> Option.bind (stage.Find fingerprint) with
        | Some folder, Some result ->
            input.Finished
            |> Option.map (fun input -> named fingerprint (stage.Output input.Value result))
            |> step Action.Reuse (nonNull (IO.Path.GetFileName folder))
        | Some _, None -> step Action.Make "not there with these settings" None
        | None, _ ->
            step
                Action.Make
                (if standing.Force then
                     "asked for by --force"
                 else
                     "after its run")
                None
        |> Ok

/// A folder over the network may show a new file late.
let private awaited (find: unit -> 'r option) =
    let rec look left =
        match find () with
        | None when left > 0 ->
            Thread.Sleep 100
            look (left - 1)
        | outcome -> outcome

    look 100

let private runResult (stage: ResultStage<'i, 'r, 'o>) (context: StageContext) (input: Artifact<'i>) =
    Stage.inBackground context (fun () ->
        let parts = Fingerprint.parts input.Fingerprint |> Option.defaultValue []
        let fingerprint = stage.Fingerprint parts
        let folder = stage.Folder input.Value

        let finished () =
            if context.Standing.Force then
                None
            else
                stage.Find fingerprint folder

        let make () =
            match finished () with
            | Some result ->
                context.Note $"{stage.Name}: done before, reused"
                Ok(stage.Output input.Value result)
            | None ->
                result {
                    let! device = Device.ofName context.Device
                    // no other process trains or evaluates it at the same time
                    let! held = RunLock.Take folder
                    use _ = held
                    // the present record, because training may have continued since it was read
                    let file = RunFile(folder, Some held, Store.read folder)
                    return! stage.Work context device fingerprint input.Value file
                }

        // the leader alone makes it; the others read it
        Stage.lead context make ignore (fun () ->
            awaited (fun () -> stage.Find fingerprint folder)
            |> Result.requireSome (
                Data
                    $"{folder}: expected what rank 0 wrote for {stage.Name}, found none; all ranks need the same artifacts folder"
            )
            |> Result.map (stage.Output input.Value))
        |> Result.map (named fingerprint))

/// A stage whose output is a result in a run.
let ofResult (stage: ResultStage<'i, 'r, 'o>) : Stage<'i, 'o> = {
    Name = stage.Name
    Plan = planResult stage
    Run = runResult stage
}

/// Deletes a run, unless a process works on it. Without run.json, which is deleted first, the other files are no longer
/// a run.
let remove (folder: string) : Result<unit, StageError> =
    result {
        let! held = RunLock.Take folder

        do
            use held = held
            held.Guarded(fun () -> IO.File.Delete(IO.Path.Combine(folder, RunLayout.Run)))

        IO.Directory.Delete(folder, recursive = true)
    }

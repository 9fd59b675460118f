namespace DQ.Pipeline

open System
open System.Collections.Concurrent
open System.IO
open System.Runtime.ExceptionServices
open System.Threading
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.Formats
open DQ.Core.Native
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open FsToolkit.ErrorHandling

/// The progress of a stage.
type Report = {
    /// Stage and subject, such as `train vq`.
    Title: string
    Done: int64
    Total: int64
    /// The unit of `Done`, such as `steps` or `images`.
    Unit: string
    Loss: float option
    ImagesPerSecond: float option
}

module Report =
    /// Progress of a stage that only counts.
    let counted title unit' (finished: int64) (total: int64) = {
        Title = title
        Done = finished
        Total = total
        Unit = unit'
        Loss = None
        ImagesPerSecond = None
    }

/// The state that a plan reads: the store, the files of sources, and whether finished work is reused.
type Standing = {
    Store: Store
    Hashes: FileHashes
    /// Known properties of image sources, each of which is inspected once.
    Sources: ConcurrentDictionary<DataConfig, Data.Ingest.Foreseen>
    /// All runs, the latest first.
    Runs: unit -> StoredRun list
    /// Repeats finished work.
    Force: bool
}

module Standing =
    /// `force` repeats finished work.
    let at (store: Store) force = {
        Store = store
        Hashes = FileHashes()
        Sources = ConcurrentDictionary()
        Runs = fun () -> Store.list store
        Force = force
    }

    /// The same with the present runs, which are read once.
    let asOfNow standing =
        let runs = lazy (standing.Runs())

        {
            standing with
                Runs = fun () -> runs.Value
        }

/// The context of a stage: what it uses besides its input.
type StageContext = {
    Standing: Standing
    /// `cpu`, `cuda` or `cuda:1`.
    Device: string
    Software: SoftwareRecord
    Cancellation: CancellationToken
    /// The reason of the cancellation.
    Stopped: unit -> StageError
    /// The processes that do this work together.
    Team: Team
    /// Whether a run that is taken up again goes on with as many threads as it was begun with, and so to the same numbers.
    KeepThreads: bool
    Progress: Report -> unit
    /// One line for the user.
    Note: string -> unit
} with

    member this.Store = this.Standing.Store

    /// Why the team has to stop, if one of it was told to; all of it ask at the same moments.
    member this.Stopping() : StageError option =
        this.Team.Stopping(
            if this.Cancellation.IsCancellationRequested then
                Some(this.Stopped())
            else
                None
        )

/// A value that is the input or output of a stage, and its name. It holds no open file.
type Artifact<'a> = { Fingerprint: Fingerprint; Value: 'a }

module Artifact =
    /// Another view of its value, with the same name.
    let map (view: 'a -> 'b) (artifact: Artifact<'a>) : Artifact<'b> = {
        Fingerprint = artifact.Fingerprint
        Value = view artifact.Value
    }

/// What a run would do for a stage's output.
[<RequireQualifiedAccess>]
type Action =
    /// It is finished.
    | Reuse
    /// It was begun and not finished.
    | Continue
    | Make

/// One stage of a plan, with the reason.
type PlannedStep = {
    Stage: string
    Action: Action
    Why: string
}

/// An artifact before anything runs: its name, what would be done for it, and the artifact itself if it is finished.
type Planned<'a> = {
    Fingerprint: Fingerprint
    /// Steps of the stage that makes it; earlier stages have their own.
    Steps: PlannedStep list
    Finished: Artifact<'a> option
}

/// A typed step that makes one artifact from another. The output's fingerprint is a pure function of the input's
/// fingerprint and the stage's settings, so that a plan and a run agree.
type Stage<'i, 'o> = {
    Name: string
    /// Returns the output's name and what a run would do. It makes nothing.
    Plan: Standing -> Planned<'i> -> Result<Planned<'o>, StageError>
    /// Returns the output; makes it if it is not finished.
    Run: StageContext -> Artifact<'i> -> Task<Result<Artifact<'o>, StageError>>
}

/// The input of a chain's member: its own input, and the output of the member before.
type Link<'i, 'o> = {
    Input: Artifact<'i>
    Before: Artifact<'o> option
}

module Stage =
    /// The message without the native stack trace of libtorch.
    let firstLine (error: exn) = (error.Message.Split '\n')[0]

    /// libtorch's messages when memory runs out: on the CPU, on Windows and other systems, and on a CUDA device.
    let private outOfMemory = [ "not enough memory"; "can't allocate memory"; "out of memory" ]

    /// Exceptions about the user's files and machine; all others are bugs.
    let expected (stopped: unit -> StageError) (error: exn) : StageError option =
        match error with
        | :? OperationCanceledException -> Some(stopped ())
        | :? ArtifactException
        | :? WeightsException
        | :? InvalidDataException -> Some(Data error.Message)
        | :? LockLostException -> Some(Busy error.Message)
        | :? FileNotFoundException
        | :? DirectoryNotFoundException
        | :? EndOfStreamException -> Some(Data error.Message)
        | :? LibTorchException -> Some(CheckFailed error.Message)
        | :? IOException
        | :? UnauthorizedAccessException -> Some(Storage $"{error.Message.TrimEnd '.'}; existing files are unchanged")
        | :? OutOfMemoryException -> Some(OutOfMemory(error.Message, None))
        | error when
            outOfMemory
            |> List.exists (fun phrase -> error.Message.Contains(phrase, StringComparison.Ordinal))
            ->
            Some(OutOfMemory(firstLine error, None))
        | _ -> None

    /// Does the work. Exceptions about files and machine become errors; other exceptions are rethrown.
    let attempt stopped (work: unit -> Result<'a, StageError>) : Result<'a, StageError> =
        try
            work ()
        with error ->
            match expected stopped error with
            | Some failure -> Error failure
            | None ->
                ExceptionDispatchInfo.Throw error
                Error(CheckFailed error.Message)

    /// The same on another thread, unless the context is already cancelled.
    let inBackground (context: StageContext) (work: unit -> Result<'a, StageError>) : Task<Result<'a, StageError>> =
        Task.Run(fun () ->
            attempt context.Stopped (fun () ->
                match context.Stopping() with
                | Some reason -> Error reason
                | None -> work ()))

    /// What the leader of the team finds out, with all that it can throw about files, on all of the team.
    let fromLeader (context: StageContext) (find: unit -> Result<'a, StageError>) : Result<'a, StageError> =
        context.Team.FromLeader(fun () -> attempt context.Stopped find)

    /// The same where the others look up themselves what the leader made: at what it told them.
    let lead
        (context: StageContext)
        (make: unit -> Result<'a, StageError>)
        (told: 'a -> 'told)
        (lookUp: 'told -> Result<'a, StageError>)
        : Result<'a, StageError> =
        let team = context.Team

        if team.IsAlone then
            make ()
        elif team.Leads then
            attempt context.Stopped make |> team.Tell told |> Result.bind (Ok >> team.Agree)
        else
            team.Hear()
            |> Result.bind (fun told -> attempt context.Stopped (fun () -> lookUp told) |> team.Agree)

    /// The input of pipelines.
    let start: Artifact<unit> = {
        Fingerprint = Fingerprint.All []
        Value = ()
    }

    /// An existing artifact in a plan.
    let finished (artifact: Artifact<'a>) : Planned<'a> = {
        Fingerprint = artifact.Fingerprint
        Steps = []
        Finished = Some artifact
    }

    /// The plan of a pipeline.
    let plan (standing: Standing) (stage: Stage<unit, 'o>) : Result<Planned<'o>, StageError> =
        attempt (fun () -> Interrupted 2) (fun () -> stage.Plan standing (finished start))

    /// A pipeline's output.
    let run (context: StageContext) (stage: Stage<unit, 'o>) : Task<Result<'o, StageError>> =
        stage.Run context start |> TaskResult.map _.Value

    /// A stage that only looks up its output, such as a named file.
    let lookup (name: string) (find: Standing -> Result<Artifact<'o>, StageError>) : Stage<'i, 'o> = {
        Name = name
        Plan = fun standing _ -> find standing |> Result.map finished
        Run = fun context _ -> inBackground context (fun () -> find context.Standing)
    }

    /// The stage if its output is finished; otherwise this error.
    let whenFinished (missing: Standing -> StageError) (stage: Stage<'i, 'o>) : Stage<'i, 'o> =
        let plan standing input =
            stage.Plan { standing with Force = false } input
            |> Result.bind (fun planned ->
                match planned.Finished with
                | Some output -> Ok(planned, output)
                | None -> Error(missing standing))

        {
            Name = stage.Name
            Plan = fun standing input -> plan standing input |> Result.map fst
            Run =
                fun context input ->
                    inBackground context (fun () -> plan context.Standing (finished input) |> Result.map snd)
        }

    /// First one stage, then the other on its output.
    let andThen (second: Stage<'b, 'c>) (first: Stage<'a, 'b>) : Stage<'a, 'c> = {
        Name = $"{first.Name}, {second.Name}"
        Plan =
            fun standing input ->
                result {
                    let! middle = first.Plan standing input
                    let! last = second.Plan standing middle

                    return {
                        last with
                            Steps = middle.Steps @ last.Steps
                    }
                }
        Run =
            fun context input ->
                taskResult {
                    let! middle = first.Run context input
                    return! second.Run context middle
                }
    }

    /// The stage with another view of its output, which keeps its name.
    let map (view: 'a -> 'b) (stage: Stage<'i, 'a>) : Stage<'i, 'b> = {
        Name = stage.Name
        Plan =
            fun standing input ->
                stage.Plan standing input
                |> Result.map (fun planned -> {
                    Fingerprint = planned.Fingerprint
                    Steps = planned.Steps
                    Finished = planned.Finished |> Option.map (Artifact.map view)
                })
        Run = fun context input -> stage.Run context input |> TaskResult.map (Artifact.map view)
    }

    /// The stage on a part of its input: a function for the part's name, and a function for the part itself.
    let onPart (name: Fingerprint -> Fingerprint) (part: 'a -> Artifact<'b>) (stage: Stage<'b, 'o>) : Stage<'a, 'o> = {
        Name = stage.Name
        Plan =
            fun standing input ->
                stage.Plan standing {
                    Fingerprint = name input.Fingerprint
                    Steps = []
                    Finished = input.Finished |> Option.map (fun input -> part input.Value)
                }
        Run = fun context input -> stage.Run context (part input.Value)
    }

    /// Several artifacts as one.
    let together (artifacts: Artifact<'a> list) : Artifact<Artifact<'a> list> = {
        Fingerprint = Fingerprint.All(artifacts |> List.map _.Fingerprint)
        Value = artifacts
    }

    let private plannedTogether (planned: Planned<'a> list) : Planned<Artifact<'a> list> = {
        Fingerprint = Fingerprint.All(planned |> List.map _.Fingerprint)
        Steps = planned |> List.collect _.Steps
        Finished = planned |> List.map _.Finished |> List.allOrNone |> Option.map together
    }

    /// Several stages on one input, in turn.
    let all (stages: Stage<'i, 'o> list) : Stage<'i, Artifact<'o> list> = {
        Name = stages |> List.map _.Name |> String.concat ", "
        Plan =
            fun standing input ->
                stages
                |> List.traverseResultM (fun stage -> stage.Plan standing input)
                |> Result.map plannedTogether
        Run =
            fun context input ->
                stages
                |> List.traverseTaskResult (fun stage -> stage.Run context input)
                |> TaskResult.map together
    }

    /// A stage for each of several inputs, in turn.
    let each (stages: Stage<'i, 'o> list) : Stage<Artifact<'i> list, Artifact<'o> list> =
        stages
        |> List.mapi (fun index stage -> stage |> onPart (Fingerprint.item index) (List.item index))
        |> all

    /// Two stages on one input, in turn.
    let both (left: Stage<'i, 'a>) (right: Stage<'i, 'b>) : Stage<'i, Artifact<'a> * Artifact<'b>> =
        let pair (a: Artifact<'a>) (b: Artifact<'b>) = {
            Fingerprint = Fingerprint.All [ a.Fingerprint; b.Fingerprint ]
            Value = a, b
        }

        {
            Name = $"{left.Name}, {right.Name}"
            Plan =
                fun standing input ->
                    result {
                        let! a = left.Plan standing input
                        let! b = right.Plan standing input

                        return {
                            Fingerprint = Fingerprint.All [ a.Fingerprint; b.Fingerprint ]
                            Steps = a.Steps @ b.Steps
                            Finished = Option.map2 pair a.Finished b.Finished
                        }
                    }
            Run =
                fun context input ->
                    taskResult {
                        let! a = left.Run context input
                        let! b = right.Run context input
                        return pair a b
                    }
        }

    /// The input itself, as a stage.
    let input<'a> : Stage<'a, 'a> = {
        Name = ""
        Plan = fun _ input -> Ok { input with Steps = [] }
        Run = fun _ input -> Task.FromResult(Ok input)
    }

    let private nameOfLink input (before: Fingerprint option) =
        Fingerprint.All(input :: Option.toList before)

    /// The input of a chain's member.
    let link (input: Artifact<'i>) (before: Artifact<'o> option) : Artifact<Link<'i, 'o>> = {
        Fingerprint = nameOfLink input.Fingerprint (before |> Option.map _.Fingerprint)
        Value = { Input = input; Before = before }
    }

    /// A chain: a stage for each of several inputs, which also takes the output of the stage before.
    let scan (stages: Stage<Link<'i, 'o>, 'o> list) : Stage<Artifact<'i> list, Artifact<'o> list> =
        let planLink (input: Planned<Artifact<'i> list>) index (before: Planned<'o> option) =
            let finished =
                match input.Finished, before with
                | Some inputs, None -> Some(link inputs.Value[index] None)
                | Some inputs, Some { Finished = Some before } -> Some(link inputs.Value[index] (Some before))
                | _ -> None

            {
                Fingerprint = nameOfLink (Fingerprint.item index input.Fingerprint) (before |> Option.map _.Fingerprint)
                Steps = []
                Finished = finished
            }

        {
            Name = stages |> List.map _.Name |> String.concat ", "
            Plan =
                fun standing input ->
                    (Ok [], List.indexed stages)
                    ||> List.fold (fun before (index, stage) ->
                        result {
                            let! before = before
                            let! planned = stage.Plan standing (planLink input index (List.tryHead before))
                            return planned :: before
                        })
                    |> Result.map (List.rev >> plannedTogether)
            Run =
                fun context inputs ->
                    (Task.FromResult(Ok []), List.zip stages inputs.Value)
                    ||> List.fold (fun before (stage, input) ->
                        taskResult {
                            let! before = before
                            let! output = stage.Run context (link input (List.tryHead before))
                            return output :: before
                        })
                    |> TaskResult.map (List.rev >> together)
        }

    /// A stage whose settings follow from its input. Before the input exists, its plan is `unknown`.
    let dependent
        name
        (unknown: PlannedStep list)
        (build: Standing -> Artifact<'i> -> Result<Stage<'i, 'o>, StageError>)
        : Stage<'i, 'o> = {
        Name = name
        Plan =
            fun standing input ->
                match input.Finished with
                | None ->
                    Ok {
                        Fingerprint = Fingerprint.Unknown
                        Steps = unknown
                        Finished = None
                    }
                | Some artifact -> build standing artifact |> Result.bind (fun stage -> stage.Plan standing input)
        Run =
            fun context input ->
                taskResult {
                    let! stage = build context.Standing input
                    return! stage.Run context input
                }
    }

[<AutoOpen>]
module StageOperators =
    /// First one stage, then the other on its output.
    let (>=>) first second = Stage.andThen second first

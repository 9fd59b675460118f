namespace DQ.Pipeline

open System
open System.IO
open System.Runtime.ExceptionServices
open System.Threading
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.Formats
open DQ.Core.Native
open FsToolkit.ErrorHandling

/// How far a stage is, for whoever watches.
type Report = {
    /// Stage and subject, such as `train vq`.
    Title: string
    Done: int64
    Total: int64
    /// What a unit of `Done` is, such as `steps` or `images`.
    Unit: string
    Loss: float option
    ImagesPerSecond: float option
}

/// What a stage has besides its input.
type StageContext = {
    Store: Store
    /// `cpu`, `cuda` or `cuda:1`.
    Device: string
    Software: SoftwareRecord
    /// Runs anew what is finished already.
    Force: bool
    Cancellation: CancellationToken
    /// Why it was cancelled.
    Stopped: unit -> StageError
    Progress: Report -> unit
    /// One line for the user.
    Note: string -> unit
}

/// A typed step from artifacts to an artifact.
type Stage<'input, 'output> = {
    Name: string
    /// Of the stage's version and settings and of the input's content: everything the output depends on.
    Fingerprint: 'input -> Result<string, StageError>
    /// The finished output of this fingerprint, if the store has it.
    Find: StageContext -> string -> 'input -> Result<'output option, StageError>
    /// Makes it.
    Run: StageContext -> string -> 'input -> Task<Result<'output, StageError>>
}

module Stage =
    /// Without the native stack that libtorch's messages carry.
    let firstLine (error: exn) = (error.Message.Split '\n')[0]

    /// What libtorch says when memory runs out: of the processor on Windows and elsewhere, and of a CUDA device.
    let private outOfMemory = [ "not enough memory"; "can't allocate memory"; "out of memory" ]

    /// Exceptions that say something about the user's files and machine; the others are bugs.
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
        | :? UnauthorizedAccessException ->
            Some(Storage $"{error.Message.TrimEnd '.'}; what was there before is intact")
        | :? OutOfMemoryException -> Some(OutOfMemory(error.Message, None))
        | error when
            outOfMemory
            |> List.exists (fun said -> error.Message.Contains(said, StringComparison.Ordinal))
            ->
            Some(OutOfMemory(firstLine error, None))
        | _ -> None

    /// The output: found, unless told to run anew, or made.
    let execute (context: StageContext) (stage: Stage<'a, 'b>) (input: 'a) : Task<Result<'b, StageError>> =
        task {
            try
                context.Cancellation.ThrowIfCancellationRequested()

                let sought =
                    result {
                        let! fingerprint = stage.Fingerprint input

                        let! found =
                            if context.Force then
                                Ok None
                            else
                                stage.Find context fingerprint input

                        return fingerprint, found
                    }

                match sought with
                | Error error -> return Error error
                | Ok(_, Some output) ->
                    context.Note $"{stage.Name}: done before, reused"
                    return Ok output
                | Ok(fingerprint, None) -> return! stage.Run context fingerprint input
            with error ->
                match expected context.Stopped error with
                | Some failure -> return Error failure
                | None ->
                    ExceptionDispatchInfo.Throw error
                    return Error(CheckFailed error.Message)
        }

    /// One stage after the other; an error in the first is the error of both. Each looks for its own finished output.
    let andThen (second: Stage<'b, 'c>) (first: Stage<'a, 'b>) : Stage<'a, 'c> = {
        Name = $"{first.Name}, {second.Name}"
        Fingerprint = first.Fingerprint
        Find = fun _ _ _ -> Ok None
        Run =
            fun context _ input ->
                task {
                    match! execute context first input with
                    | Ok middle -> return! execute context second middle
                    | Error error -> return Error error
                }
    }

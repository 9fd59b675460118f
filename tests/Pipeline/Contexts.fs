/// Contexts for stages, and stages run to their end.
module DQ.Tests.Pipeline.Contexts

open System.Threading
open Expecto
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages

let get result =
    match result with
    | Ok value -> value
    | Error error -> failtestf "%A" (StageError.lines error)

/// In this store; `progress` may cancel the context.
let context root (progress: CancellationTokenSource -> Report -> unit) (note: string -> unit) : StageContext =
    let source = new CancellationTokenSource()

    {
        Standing = Standing.at (get (Store.openAt root)) false
        Device = "cpu"
        Software = SoftwareRecord("", "", "", "", "")
        Cancellation = source.Token
        Stopped = fun () -> Interrupted 15
        Team = Team.Alone
        KeepThreads = false
        Progress = progress source
        Note = note
    }

let quiet root = context root (fun _ _ -> ()) ignore

/// Cancels itself when training comes to a step.
let cancelledAt root (step: int64 option) =
    let progress (source: CancellationTokenSource) (report: Report) =
        if report.Unit = "steps" && step |> Option.exists (fun step -> report.Done >= step) then
            source.Cancel()

    context root progress ignore

let forced (context: StageContext) = {
    context with
        Standing = { context.Standing with Force = true }
}

let run context stage =
    (Stage.run context stage).GetAwaiter().GetResult()

/// A stage on this value.
let runOn context (artifact: Artifact<'i>) (stage: Stage<'i, 'o>) =
    run context (Stage.lookup "" (fun _ -> Ok artifact) >=> stage)

/// What only an autoencoder's run has.
let autoencoderOf (record: RunRecord) =
    match record.Payload with
    | :? AutoencoderPayload as payload -> payload
    | other -> failtestf "expected an autoencoder, got %A" other

/// A trained run as the stage that made it gave it.
let asArtifact (run: Train.TrainedRun) : Artifact<Train.TrainedRun> = {
    Fingerprint = Fingerprint.Of run.Record.Fingerprint
    Value = run
}

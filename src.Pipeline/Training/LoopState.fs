namespace DQ.Pipeline.Training

open System
open System.Text.Json.Nodes
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration

/// The state of the loop beside the checkpoint's tensors: step-….json, which is written after step-….safetensors and
/// completes it.
type LoopState = {
    Schema: int
    /// Steps as counted by the session; stored here for the files.
    Step: int64
    ImagesSeen: int64
    /// Time in training steps, in seconds.
    Seconds: float
    /// Length of metrics.jsonl and events.jsonl at this step.
    MetricsBytes: int64
    EventsBytes: int64
    Window: Window
    Codebooks: CodebookWatch.Flags[][]
    SkippedInARow: int
    /// Number of times that training went back with a lower learning rate.
    Fallbacks: int
    /// Latest validation and the best: nats per dimension, squared error on normalized values, or of a classifier 1 −
    /// accuracy.
    Validation: float option
    BestValidation: float option
    BestStep: int64 option
    /// Checksum of all other fields as in the file; null in memory, and in files before version 3.
    Checksum: string | null
} with

    interface IArtifact with
        static member CurrentSchema = 3
        member this.Schema = this.Schema

        /// Version 1 did not store the codes that the steps of a window had chosen, and version 2 had no checksum.
        static member Migrate(record, version) =
            record["checksum"] <- null

            match version, record["window"] with
            | 1, (:? JsonObject as window) ->
                window["idle"] <- JsonArray()
                true
            | 2, _ -> true
            | _ -> false

module LoopState =
    let start levels codebooks : LoopState = {
        Schema = 3
        Step = 0L
        ImagesSeen = 0L
        Seconds = 0.0
        MetricsBytes = 0L
        EventsBytes = 0L
        Window = Window.empty levels codebooks
        Codebooks = CodebookWatch.start levels codebooks
        SkippedInARow = 0
        Fallbacks = 0
        Validation = None
        BestValidation = None
        BestStep = None
        Checksum = null
    }

    /// Whether a run that is never stopped writes a checkpoint here, to which training may go back.
    let isRegular (loop: LoopConfig) (steps: int64) (state: LoopState) =
        state.SkippedInARow = 0
        && (state.Step = steps || state.Step % loop.CheckpointEvery = 0L)

    /// Whether the last `early_stopping` validations were no better than the best one. Those up to step `since` are not
    /// counted. It is called after each validation, and for a checkpoint from which training continues.
    let stopsEarly (loop: LoopConfig) (since: int64) (state: LoopState) =
        loop.EarlyStopping > 0L
        && state.Step % loop.ValidateEvery = 0L
        && state.BestStep
           |> Option.exists (fun best -> state.Step - max best since >= loop.EarlyStopping * loop.ValidateEvery)

    /// The factor on the learning rate after going back this number of times.
    let rateFactor (loop: LoopConfig) (state: LoopState) =
        pown loop.FallbackFactor state.Fallbacks

    /// The state after a validation, whose loss is null if it was not finite. The flag is true if it is the best so
    /// far.
    let validated (loss: float option) (state: LoopState) =
        let best =
            match loss, state.BestValidation with
            | Some loss, Some best -> loss < best
            | Some _, None -> true
            | None, _ -> false

        best,
        {
            state with
                Validation = loss
                BestValidation = (if best then loss else state.BestValidation)
                BestStep = (if best then Some state.Step else state.BestStep)
        }

namespace DQ.Pipeline.Training

open System
open DQ.Core.Artifacts
open DQ.Core.Training
open DQ.Pipeline

/// What a model is judged by, and under which names its numbers stand.
[<RequireQualifiedAccess>]
type Criterion =
    | NatsPerDim
    | SquaredError
    /// Steps by cross-entropy, validations by the share of images that were classified wrongly.
    | Classification

/// What validation images say of a model.
type Validated = {
    /// What the best is chosen by: lower is better. Not finite where the model is no good.
    Loss: float
    /// Of a classifier.
    CrossEntropyNats: Nullable<float>
}

/// What is trained, and what only this kind of model knows of itself.
type Learner = {
    /// With no steps done; disposed by the loop.
    Session: TrainingSession
    Criterion: Criterion
    /// Of the training images; None where they are not learned.
    Labels: int[] option
    /// Of the first validation images, so many.
    Validate: int -> Validated
    /// Pictures of the first validation images, so many, into a folder.
    Sample: int -> string -> unit
}

module Criterion =
    /// A line with this judged loss under its name.
    let line criterion split step imagesSeen seconds (judged: Nullable<float>) (validated: Validated option) =
        let none = Nullable()

        let only case value =
            if criterion = case then value else none

        let crossEntropy, accuracy =
            match criterion, validated with
            | Criterion.Classification, None -> judged, none
            | Criterion.Classification, Some seen ->
                seen.CrossEntropyNats,
                (if judged.HasValue then
                     Nullable(1.0 - judged.Value)
                 else
                     none)
            | _ -> none, none

        MetricsRecord(
            Split = split,
            Step = step,
            ImagesSeen = imagesSeen,
            Seconds = seconds,
            ReconstructionNatsPerDim = only Criterion.NatsPerDim judged,
            ReconstructionSquaredError = only Criterion.SquaredError judged,
            CrossEntropyNats = crossEntropy,
            Accuracy = accuracy
        )

    /// run.json with the loop where it is.
    let reached criterion (state: LoopState) (record: RunRecord) =
        let none = Nullable()

        let only case =
            if criterion = case then state.Validation else none

        let accuracy =
            match Option.ofNullable (only Criterion.Classification) with
            | Some wrong -> Nullable(1.0 - wrong)
            | None -> none

        record.At(
            state.Step,
            state.ImagesSeen,
            state.Seconds,
            only Criterion.NatsPerDim,
            only Criterion.SquaredError,
            state.BestStep,
            DateTime.UtcNow,
            accuracy
        )

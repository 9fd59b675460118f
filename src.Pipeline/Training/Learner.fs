namespace DQ.Pipeline.Training

open System
open System.Runtime.InteropServices
open DQ.Core.Artifacts
open DQ.Core.Training
open DQ.Pipeline

/// The loss by which a model is judged, and the names of its numbers.
[<RequireQualifiedAccess>]
type Criterion =
    | NatsPerDim
    | SquaredError
    /// Steps are judged by cross-entropy, validations by the share of images that are classified wrongly.
    | Classification
    /// Cross-entropy of codes, mean over codes.
    | Codes

/// The results of a validation.
type Validated = {
    /// The number by which the best model is chosen; lower is better. Not finite if the model is not usable.
    Loss: float
    /// Cross-entropy in nats; None if the model is not a classifier.
    CrossEntropyNats: float option
}

/// The session, and the functions that depend on the kind of model.
type Learner = {
    /// A session with no steps done.
    Session: TrainingSession
    Criterion: Criterion
    /// Labels of the training images; None if classes are not learned.
    Labels: int[] option
    /// Validates on a number of images, the first ones.
    Validate: int -> Validated
    /// Writes pictures of a number of validation images, the first ones, into a folder.
    Sample: int -> string -> unit
}

module Validated =
    /// What the leader saw, on all ranks.
    let ofLeader (team: Team) (seen: Validated) : Validated =
        if team.IsAlone then
            seen
        else
            let numbers = [| seen.Loss; seen.CrossEntropyNats |> Option.defaultValue nan |]

            team.Ranks.Broadcast(MemoryMarshal.AsBytes(numbers.AsSpan()))

            {
                Loss = numbers[0]
                CrossEntropyNats = if Double.IsNaN numbers[1] then None else Some numbers[1]
            }

module Criterion =
    /// A line with the loss by which the model is judged, under its name.
    let line criterion split step imagesSeen seconds (judged: float option) (validated: Validated option) =
        let only case =
            if criterion = case then judged else None

        let crossEntropy, accuracy =
            match criterion, validated with
            | Criterion.Classification, None -> judged, None
            | Criterion.Classification, Some seen ->
                seen.CrossEntropyNats, judged |> Option.map (fun wrong -> 1.0 - wrong)
            | Criterion.Codes, _ -> judged, None
            | _ -> None, None

        MetricsRecord(
            Split = split,
            Step = step,
            ImagesSeen = imagesSeen,
            Seconds = seconds,
            ReconstructionNatsPerDim = Option.toNullable (only Criterion.NatsPerDim),
            ReconstructionSquaredError = Option.toNullable (only Criterion.SquaredError),
            CrossEntropyNats = Option.toNullable crossEntropy,
            Accuracy = Option.toNullable accuracy
        )

    /// run.json with the present state of the loop.
    let reached criterion (state: LoopState) (record: RunRecord) =
        let only case =
            if criterion = case then state.Validation else None

        let accuracy =
            only Criterion.Classification |> Option.map (fun wrong -> 1.0 - wrong)

        record.At(
            state.Step,
            state.ImagesSeen,
            state.Seconds,
            Option.toNullable (only Criterion.NatsPerDim),
            Option.toNullable (only Criterion.SquaredError),
            Option.toNullable state.BestStep,
            DateTime.UtcNow,
            Option.toNullable accuracy
        )

namespace DQ.Pipeline.Training

open System
open System.Runtime.InteropServices
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
    CrossEntropyNats: float option
}

/// What is trained, and what only this kind of model knows of itself.
type Learner = {
    /// With no steps done.
    Session: TrainingSession
    Criterion: Criterion
    /// Of the training images; None where they are not learned.
    Labels: int[] option
    /// Of the first validation images, so many.
    Validate: int -> Validated
    /// Pictures of the first validation images, so many, into a folder.
    Sample: int -> string -> unit
}

module Validated =
    /// What the leader saw, on all ranks.
    let ofLeader (team: Team) (seen: Validated) : Validated =
        if team.IsAlone then
            seen
        else
            let numbers = [|
                seen.Loss
                seen.CrossEntropyNats |> Option.defaultValue nan
            |]

            team.Ranks.Broadcast(MemoryMarshal.AsBytes(numbers.AsSpan()))

            {
                Loss = numbers[0]
                CrossEntropyNats = if Double.IsNaN numbers[1] then None else Some numbers[1]
            }

module Criterion =
    /// A line with this judged loss under its name.
    let line criterion split step imagesSeen seconds (judged: float option) (validated: Validated option) =
        let only case =
            if criterion = case then judged else None

        let crossEntropy, accuracy =
            match criterion, validated with
            | Criterion.Classification, None -> judged, None
            | Criterion.Classification, Some seen ->
                seen.CrossEntropyNats, judged |> Option.map (fun wrong -> 1.0 - wrong)
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

    /// run.json with the loop where it is.
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

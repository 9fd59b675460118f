/// The table at the end of `run`, `classify` and `evaluate`: one column per run, units in the names.
module DQ.Pipeline.Commands.Summary

open System
open System.Collections.Generic
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Evaluation
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open DQ.Pipeline.Stages.Evaluate
open DQ.Pipeline.Stages.Evaluations
open DQ.Pipeline.Numbers

/// A number per level, bottom first.
let private perLevel (split: SplitEvaluation) (show: LevelEvaluation -> string) =
    match split.Levels |> Seq.map show |> List.ofSeq with
    | [] -> "–"
    | levels -> String.concat " / " levels

let private average (level: LevelEvaluation) (value: CodebookEvaluation -> float) =
    level.Codebooks |> Seq.averageBy value

let private autoencoderRows: (string * (SplitEvaluation -> string)) list = [
    "reconstruction, nats/dim", (fun split -> optional "F4" split.ReconstructionNatsPerDim)
    "reconstruction, bits/dim", (fun split -> optional "F4" split.ReconstructionBitsPerDim)
    "squared error, normalized", (fun split -> optional "F5" split.NormalizedSquaredError)
    "code rate uniform, bits/dim", (fun split -> number "F4" split.CodeRateUniformBitsPerDim)
    "code rate empirical, bits/dim", (fun split -> number "F4" split.CodeRateEmpiricalBitsPerDim)
    "total uniform, bits/dim", (fun split -> optional "F4" split.TotalUniformBitsPerDim)
    "total empirical, bits/dim", (fun split -> optional "F4" split.TotalEmpiricalBitsPerDim)
    "PSNR, dB", (fun split -> optional "F2" split.PsnrDb)
    "SSIM", (fun split -> optional "F4" split.Ssim)
    "codebook usage, % (bottom first)",
    (fun split -> perLevel split (fun level -> number "F0" (100.0 * average level _.Usage)))
    "codebook perplexity (bottom first)",
    (fun split -> perLevel split (fun level -> number "F1" (average level _.Perplexity)))
    "codebook entropy, nats (bottom first)",
    (fun split -> perLevel split (fun level -> number "F3" (average level _.EntropyNats)))
    "mutual information, nats (bottom first)",
    (fun split -> perLevel split (fun level -> optional "F3" level.MeanMutualInformationNats))
    "  the same of independent codebooks",
    (fun split -> perLevel split (fun level -> optional "F3" level.IndependentMutualInformationNats))
    "mutual information, % of entropy",
    (fun split ->
        perLevel split (fun level ->
            optional
                "F1"
                (Option.toNullable (
                    Option.ofNullable level.MeanNormalizedMutualInformation
                    |> Option.map (fun share -> 100.0 * share)
                ))))
]

/// What a bit of codes saves of the pixels' bits, beside a model without levels; below 1 codes don't pay.
let private rent (control: SplitEvaluation) (split: SplitEvaluation) =
    if split.Levels.Count = 0 || not split.ReconstructionBitsPerDim.HasValue then
        Nullable()
    else
        Nullable(
            (control.TotalEmpiricalBitsPerDim.Value - split.ReconstructionBitsPerDim.Value)
            / split.CodeRateEmpiricalBitsPerDim
        )

/// What a table of models with a context head has besides; nothing without one.
let private contextRows (runs: SplitEvaluation list) : (string * (SplitEvaluation -> string)) list = [
    if runs |> List.exists _.ReconstructionWithoutContextBitsPerDim.HasValue then
        "reconstruction without context, bits/dim",
        (fun split -> optional "F4" split.ReconstructionWithoutContextBitsPerDim)

        match runs |> List.tryFind (fun split -> split.Levels.Count = 0) with
        | Some control -> "rent per code bit (empirical)", rent control >> optional "F3"
        | None -> ()
]

/// A number per level, bottom first; the mean over its codebooks.
let private perCodeLevel format (value: CodebookClassification -> float) (split: SplitClassification) =
    match split.Levels |> List.ofSeq with
    | [] -> "–"
    | levels ->
        levels
        |> List.map (fun level -> level.Codebooks |> Seq.averageBy value |> number format)
        |> String.concat " / "

let private classifierRows: (string * (SplitClassification -> string)) list = [
    "accuracy, %", (fun split -> number "F2" (100.0 * split.Accuracy))
    "cross-entropy, nats", (fun split -> number "F4" split.CrossEntropyNats)
    "bits per image, uniform", (fun split -> optional "F1" split.BitsPerImageUniform)
    "bits per image, empirical", (fun split -> optional "F1" split.BitsPerImageEmpirical)
    "used codes", perCodeLevel "F0" (fun book -> float book.UsedCodes)
    "codes", perCodeLevel "F0" (fun book -> float book.Codes)
    "perplexity", perCodeLevel "F1" _.Perplexity
]

/// Splits one under the other: first how many images, then the rows, some of which depend on what all runs have.
let private cells
    (rows: 'split list -> (string * ('split -> string)) list)
    (images: 'split -> int64)
    (runs: IReadOnlyDictionary<string, 'split> list)
    = [
    for split in runs |> List.collect (fun splits -> List.ofSeq splits.Keys) |> List.distinct do
        let ofSplit = [
            for splits in runs do
                match splits.TryGetValue split with
                | true, found -> found
                | _ -> ()
        ]

        for label, show in ($"on {split}, images", images >> string) :: rows ofSplit do
            label
            :: [
                for splits in runs ->
                    match splits.TryGetValue split with
                    | true, evaluated -> show evaluated
                    | _ -> "–"
            ]
]

let private autoencoderCells =
    cells (fun runs -> autoencoderRows @ contextRows runs) (fun (split: SplitEvaluation) -> split.Images)

let private classifierCells =
    cells (fun _ -> classifierRows) (fun (split: SplitClassification) -> split.Images)

/// Where weights are averaged: the one number by which to see what that gains.
let private trainedRow label (runs: IReadOnlyDictionary<string, 'split> option list) (show: 'split -> string) = [
    for split in
        runs
        |> List.collect (Option.map (fun splits -> List.ofSeq splits.Keys) >> Option.defaultValue [])
        |> List.distinct do
        $"{label} on {split}, weights not averaged"
        :: [
            for splits in runs ->
                splits
                |> Option.bind (fun splits ->
                    match splits.TryGetValue split with
                    | true, found -> Some(show found)
                    | _ -> None)
                |> Option.defaultValue "–"
        ]
]

/// Runs side by side, evaluated or not, autoencoders and classifiers.
let rows (evaluations: EvaluationRecord option list) (classifications: ClassificationRecord option list) = [
    let none () : IReadOnlyDictionary<string, 'split> = Dictionary()

    if List.exists Option.isSome evaluations then
        for row in
            evaluations
            |> List.map (Option.map _.Splits >> Option.defaultWith none)
            |> autoencoderCells do
            List.head row, List.tail row

    if List.exists Option.isSome classifications then
        for row in
            classifications
            |> List.map (Option.map _.Splits >> Option.defaultWith none)
            |> classifierCells do
            List.head row, List.tail row
]

/// One evaluation as text.
let ofEvaluation (evaluation: EvaluationRecord) =
    Table.render Table.Right (autoencoderCells [ evaluation.Splits ])

let private ofValidation (value: AutoencoderPayload -> Nullable<float>) (record: RunRecord) =
    match record.Payload with
    | :? AutoencoderPayload as payload -> value payload
    | _ -> Nullable()

/// What training saw of the validation images last; null where that is no density, or no autoencoder.
let validationNatsPerDim = ofValidation _.ValidationReconstructionNatsPerDim

/// The same of squared error.
let validationSquaredError = ofValidation _.ValidationSquaredError

/// The same as text, of any kind of model.
let validation (record: RunRecord) =
    let shown unit' (value: Nullable<float>) =
        value
        |> Option.ofNullable
        |> Option.map (fun value -> $"""{number "F4" value} {unit'}""")

    match record.Payload with
    | :? AutoencoderPayload as payload ->
        shown "nats/dim" payload.ValidationReconstructionNatsPerDim
        |> Option.orElse (shown "squared error" payload.ValidationSquaredError)
    | :? ClassifierPayload as payload -> shown "accuracy" payload.ValidationAccuracy
    | _ -> None
    |> Option.defaultValue "–"

let private name (run: EvaluatedRun) =
    let record = run.Run.Record
    if record.Variant = "" then record.Name else record.Variant

let private row label runs (show: 'run -> string) = label :: List.map show runs

let private trainingRate (run: EvaluatedRun, _) =
    optional "F1" run.Run.Training.ImagesPerSecond

let private autoencoders (runs: (EvaluatedRun * EvaluationRecord) list) =
    Table.render Table.Right [
        row "" runs (fst >> name)
        row "parameters" runs (fun (_, evaluation) -> counted evaluation.Parameters)
        row "training steps" runs (fun (_, evaluation) -> string evaluation.Step)
        row "code frequencies, training images" runs (fun (_, evaluation) -> string evaluation.FrequencyImages)
        row "training, images/s" runs trainingRate
        yield! autoencoderCells (runs |> List.map (fun (_, evaluation) -> evaluation.Splits))
        yield!
            trainedRow
                "reconstruction, nats/dim"
                (runs |> List.map (fun (_, evaluation) -> Option.ofObj evaluation.WithoutAverage))
                (fun split -> optional "F4" split.ReconstructionNatsPerDim)
    ]

let private classifiers (runs: (EvaluatedRun * ClassificationRecord) list) =
    Table.render Table.Right [
        row "" runs (fst >> name)
        row "parameters" runs (fun (_, evaluation) -> counted evaluation.Parameters)
        row "training steps" runs (fun (_, evaluation) -> string evaluation.Step)
        row "training, images/s" runs trainingRate
        row "training, s" runs (fun (run, _) -> number "F0" run.Run.Training.Seconds)
        yield! classifierCells (runs |> List.map (fun (_, evaluation) -> evaluation.Splits))
        yield!
            trainedRow
                "accuracy, %"
                (runs |> List.map (fun (_, evaluation) -> Option.ofObj evaluation.WithoutAverage))
                (fun split -> number "F2" (100.0 * split.Accuracy))
    ]

let private parted (runs: EvaluatedRun list) =
    let parted = [
        for run in runs ->
            match run.Evaluation with
            | Evaluation.Autoencoder record -> Choice1Of2(run, record)
            | Evaluation.Classifier record -> Choice2Of2(run, record)
    ]

    parted
    |> List.choose (function
        | Choice1Of2 run -> Some run
        | Choice2Of2 _ -> None),
    parted
    |> List.choose (function
        | Choice2Of2 run -> Some run
        | Choice1Of2 _ -> None)

/// The table as text: autoencoders first, then classifiers.
let table (runs: EvaluatedRun list) =
    let ofAutoencoders, ofClassifiers = parted runs

    [
        if not ofAutoencoders.IsEmpty then
            autoencoders ofAutoencoders
        if not ofClassifiers.IsEmpty then
            classifiers ofClassifiers
    ]
    |> String.concat "\n"

/// The same for machines, with everything the evaluation holds.
let data (runs: EvaluatedRun list) = {|
    Runs = [|
        for run in runs ->
            let evaluation, classification =
                match run.Evaluation with
                | Evaluation.Autoencoder record -> Some record, None
                | Evaluation.Classifier record -> None, Some record

            {|
                Variant = run.Run.Record.Variant
                Id = run.Run.Record.Id
                Folder = run.Run.Folder
                TrainingImagesPerSecond = run.Run.Training.ImagesPerSecond
                Evaluation = Option.toObj evaluation
                Classification = Option.toObj classification
            |}
    |]
|}

/// Where to look next.
let places (runs: EvaluatedRun list) =
    let place run =
        match run.Evaluation with
        | Evaluation.Autoencoder _ when File.Exists(Path.Combine(run.Run.Folder, RunLayout.Images, Samples.grid)) ->
            Path.Combine(run.Run.Folder, RunLayout.Images, Samples.grid)
        | Evaluation.Autoencoder _ -> Path.Combine(run.Run.Folder, RunLayout.Evaluation)
        | Evaluation.Classifier _ -> Path.Combine(run.Run.Folder, RunLayout.Classification)

    runs |> List.map (fun run -> $"{name run}: {place run}\n") |> String.concat ""

let show (place: Workplace) (runs: EvaluatedRun list) =
    place.Output.Result(table runs + "\n" + places runs, data runs)

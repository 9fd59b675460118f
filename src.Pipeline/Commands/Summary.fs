/// The table at the end of `run` and `evaluate`: one column per run, units in the names.
module DQ.Pipeline.Commands.Summary

open System
open System.Globalization
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Evaluation
open DQ.Pipeline
open DQ.Pipeline.Evaluate

let private number (format: string) (value: float) =
    value.ToString(format, CultureInfo.InvariantCulture)

let private optional format (value: Nullable<float>) =
    if value.HasValue then number format value.Value else "–"

/// A number per level, bottom first.
let private perLevel (split: SplitEvaluation) (show: LevelEvaluation -> string) =
    split.Levels |> Seq.map show |> String.concat " / "

let private average (level: LevelEvaluation) (value: CodebookEvaluation -> float) =
    level.Codebooks |> Seq.averageBy value

let private rows (splitName: string) : (string * (SplitEvaluation -> string)) list = [
    $"on {splitName}, images", (fun split -> string split.Images)
    "reconstruction, nats/dim", (fun split -> optional "F4" split.ReconstructionNatsPerDim)
    "reconstruction, bits/dim", (fun split -> optional "F4" split.ReconstructionBitsPerDim)
    "squared error, normalized", (fun split -> number "F5" split.NormalizedSquaredError)
    "code rate uniform, bits/dim", (fun split -> number "F4" split.CodeRateUniformBitsPerDim)
    "code rate empirical, bits/dim", (fun split -> number "F4" split.CodeRateEmpiricalBitsPerDim)
    "total uniform, bits/dim", (fun split -> optional "F4" split.TotalUniformBitsPerDim)
    "total empirical, bits/dim", (fun split -> optional "F4" split.TotalEmpiricalBitsPerDim)
    "PSNR, dB", (fun split -> number "F2" split.PsnrDb)
    "SSIM", (fun split -> number "F4" split.Ssim)
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

let private cells (evaluations: EvaluationRecord list) = [
    let splits =
        evaluations
        |> List.collect (fun evaluation -> List.ofSeq evaluation.Splits.Keys)
        |> List.distinct

    for split in splits do
        for label, show in rows split do
            label
            :: [
                for evaluation in evaluations ->
                    match evaluation.Splits.TryGetValue split with
                    | true, found -> show found
                    | _ -> "–"
            ]
]

/// One evaluation as text.
let ofEvaluation (evaluation: EvaluationRecord) =
    Table.render Table.Right (cells [ evaluation ])

let private name (run: EvaluatedRun) =
    let record = run.Run.Record
    if record.Variant = "" then record.Name else record.Variant

/// The table as text; splits one under the other.
let table (runs: EvaluatedRun list) =
    Table.render Table.Right [
        "" :: List.map name runs
        "parameters"
        :: [
            for run in runs -> run.Evaluation.Parameters.ToString("N0", CultureInfo.InvariantCulture)
        ]
        "training steps" :: [ for run in runs -> string run.Evaluation.Step ]
        "code frequencies, training images"
        :: [ for run in runs -> string run.Evaluation.FrequencyImages ]
        "training, images/s"
        :: [ for run in runs -> optional "F1" run.Run.Record.ImagesPerSecond ]
        yield! cells (runs |> List.map _.Evaluation)
    ]

/// The same for machines, with everything the evaluation holds.
let data (runs: EvaluatedRun list) = {|
    Runs = [|
        for run in runs ->
            {|
                Variant = run.Run.Record.Variant
                Id = run.Run.Record.Id
                Folder = run.Run.Folder
                TrainingImagesPerSecond = run.Run.Record.ImagesPerSecond
                Evaluation = run.Evaluation
            |}
    |]
|}

/// Where to look next.
let places (runs: EvaluatedRun list) =
    runs
    |> List.map (fun run -> $"{name run}: {Path.Combine(run.Run.Folder, RunLayout.Images, Samples.grid)}\n")
    |> String.concat ""

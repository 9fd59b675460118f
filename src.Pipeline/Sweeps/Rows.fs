/// The numbers of a sweep: for equal settings, means and deviations over the seeds.
module DQ.Pipeline.Sweeps.Rows

open System
open System.Collections.Generic
open System.Text.Json.Nodes
open DQ.Core.Artifacts
open DQ.Core.Evaluation
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Sweeps.Board
open DQ.Pipeline.Sweeps.Sweep

/// A group of cells with equal settings.
type Row = {
    /// The configuration without its seed.
    Tree: JsonObject
    Cells: (Cell * CellState) list
    Record: SweepRow
}

/// The mean over all codebooks; null without levels.
let private perCodebook (value: CodebookEvaluation -> float) (split: SplitEvaluation) =
    match split.Levels |> Seq.collect _.Codebooks |> List.ofSeq with
    | [] -> Nullable()
    | books -> Nullable(List.averageBy value books)

/// Names contain units; null if a metric is not defined.
let private ofAutoencoder: (string * (SplitEvaluation -> Nullable<float>)) list = [
    "reconstruction_nats_per_dim", _.ReconstructionNatsPerDim
    "reconstruction_bits_per_dim", _.ReconstructionBitsPerDim
    "normalized_squared_error", _.NormalizedSquaredError
    "code_rate_uniform_bits_per_dim", (fun split -> Nullable split.CodeRateUniformBitsPerDim)
    "code_rate_empirical_bits_per_dim", (fun split -> Nullable split.CodeRateEmpiricalBitsPerDim)
    "total_uniform_bits_per_dim", _.TotalUniformBitsPerDim
    "total_empirical_bits_per_dim", _.TotalEmpiricalBitsPerDim
    "psnr_db", _.PsnrDb
    "ssim", _.Ssim
    "codebook_usage", perCodebook _.Usage
    "codebook_perplexity", perCodebook _.Perplexity
]

/// The mean over all codebooks; null without codes.
let private perCode (value: CodebookClassification -> float) (split: SplitClassification) =
    match split.Levels |> Seq.collect _.Codebooks |> List.ofSeq with
    | [] -> Nullable()
    | books -> Nullable(List.averageBy value books)

let private ofClassifier: (string * (SplitClassification -> Nullable<float>)) list = [
    "accuracy", (fun split -> Nullable split.Accuracy)
    "cross_entropy_nats", (fun split -> Nullable split.CrossEntropyNats)
    "bits_per_image_uniform", _.BitsPerImageUniform
    "bits_per_image_empirical", _.BitsPerImageEmpirical
    "used_codes", perCode (fun book -> float book.UsedCodes)
    "codebook_perplexity", perCode _.Perplexity
]

let private seconds = "training_seconds"

let metricNames =
    List.distinct [ yield! List.map fst ofAutoencoder; yield! List.map fst ofClassifier; seconds ]

/// Every metric of an evaluated split.
let private valuesOf split (run: FinishedCell) : (string * Nullable<float>) list =
    let ofSplit (splits: IReadOnlyDictionary<string, 'split>) metrics =
        match splits.TryGetValue split with
        | true, judged ->
            (seconds, Nullable (nonNull run.Record.Trained).Seconds)
            :: [ for name, value in metrics -> name, value judged ]
        | _ -> []

    match run.Evaluation with
    | Evaluations.Evaluation.Autoencoder record -> ofSplit record.Splits ofAutoencoder
    | Evaluations.Evaluation.Classifier record -> ofSplit record.Splits ofClassifier

/// The metric that training minimizes.
let lossOf (config: RunConfig) =
    if Settings.isClassifier config then
        "cross_entropy_nats"
    elif config.Model.Likelihood.Kind = "squared_error" then
        "normalized_squared_error"
    else
        "reconstruction_nats_per_dim"

/// Mean and sample standard deviation, σ² = Σ(x − mean)²/(n − 1).
let statistic (values: float list) =
    let mean = List.average values

    let deviation =
        match values.Length with
        | 1 -> Nullable()
        | n -> Nullable(sqrt ((values |> List.sumBy (fun value -> (value - mean) ** 2.0)) / float (n - 1)))

    SweepStatistic(mean, deviation)

/// The split of a sweep's numbers: the last one evaluated, as for pictures.
let splitOf (config: RunConfig) = Seq.last config.Evaluation.Splits

let private withoutSeed (cell: Cell) =
    let tree = cell.Tree.DeepClone().AsObject()
    tree.Remove "seed" |> ignore
    tree

let private statistics split (cells: (Cell * CellState) list) : IReadOnlyDictionary<string, SweepStatistic> =
    let evaluated = [
        for _, state in cells do
            match state with
            | CellState.Completed run -> yield! valuesOf split run
            | _ -> ()
    ]

    let statistics = Dictionary<string, SweepStatistic>()

    for name in metricNames do
        match
            [
                for metric, value in evaluated do
                    if metric = name then
                        yield! Option.toList (Option.ofNullable value)
            ]
        with
        | [] -> ()
        | values -> statistics[name] <- statistic values

    statistics

/// A row per setting, in the order of the cells.
let ofStates (keys: string list) (published: Tables.Entry list) (states: (Cell * CellState) list) : Row list =
    states
    |> List.groupBy (fun (cell, _) -> ConfigTree.canonical (withoutSeed cell))
    |> List.map (fun (_, cells) ->
        let first = fst cells.Head
        let config = first.Variant.Config

        let completed =
            cells
            |> List.filter (fun (_, state) ->
                match state with
                | CellState.Completed _ -> true
                | _ -> false)

        {
            Tree = withoutSeed first
            Cells = cells
            Record =
                SweepRow(
                    Settings = settings keys first,
                    Loss = lossOf config,
                    Cells = [| for cell, _ in cells -> cell.Index |],
                    Completed = completed.Length,
                    Metrics = statistics (splitOf config) cells,
                    Published = Tables.find published first.Tree
                )
        })

/// The loss of a row, if one of its cells is completed.
let loss (row: Row) : float option =
    match row.Record.Metrics.TryGetValue row.Record.Loss with
    | true, statistic -> Some statistic.Mean
    | _ -> None

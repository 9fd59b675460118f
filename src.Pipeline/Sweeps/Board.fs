/// Where every cell of a sweep stands, as runs, claims and failures say: nothing else is kept.
module DQ.Pipeline.Sweeps.Board

open System
open System.IO
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Data
open DQ.Pipeline.Sweeps.Sweep
open FsToolkit.ErrorHandling

/// What a cell came to.
[<RequireQualifiedAccess>]
type Judgement =
    | Autoencoder of EvaluationRecord
    | Classifier of ClassificationRecord

    /// Of the run, its data and the evaluation's settings.
    member this.Fingerprint =
        match this with
        | Autoencoder record -> record.Fingerprint
        | Classifier record -> record.Fingerprint

[<RequireQualifiedAccess>]
type CellState =
    | Completed of folder: string * RunRecord * Judgement
    | Failed of CellFailureRecord
    | Running of ClaimRecord
    | Interrupted
    | Waiting

/// A sweep whose images are known, and its folder.
type Board = {
    Store: Store
    Sweep: Sweep
    Fingerprint: string
    Folder: string
    /// By cell, the fingerprint of its images.
    Images: string list
    /// By cell, the fingerprint of its run.
    Runs: string list
}

/// Raised when equal cells would make another sweep than before.
let private version = 1

/// Finds out which images the cells work on. Where they lie does not matter: a sweep over the same images is the same.
let open' (store: Store) (sweep: Sweep) : Result<Board, StageError> =
    result {
        let configs = sweep.Cells |> List.map _.Variant.Config
        let sources = configs |> List.map _.Data |> List.distinct
        let! prints = sources |> List.traverseResultM Ingest.fingerprintInputs
        let printOf = List.zip sources prints |> dict
        let images = configs |> List.map (fun config -> printOf[config.Data])

        let! runs =
            List.zip configs images
            |> List.traverseResultM (fun (config, images) ->
                if Settings.isClassifier config then
                    Classify.fingerprint store config images
                else
                    Ok(Train.fingerprint config images))

        let fingerprint =
            Fingerprint.ofParts [
                "sweep"
                string version
                for config, run in List.zip configs runs do
                    run
                    Evaluate.settings config.Evaluation
            ]

        return {
            Store = store
            Sweep = sweep
            Fingerprint = fingerprint
            Folder = Path.Combine(store.Root, SweepLayout.Sweeps, Store.folderName sweep.Name fingerprint)
            Images = images
            Runs = runs
        }
    }

/// The folder of a cell's claims.
let cellFolder board (cell: Cell) =
    Path.Combine(board.Folder, SweepLayout.Cells, $"{cell.Index:D3}")

let private failureFile board cell =
    Path.Combine(cellFolder board cell, SweepLayout.Failure)

let fail board cell reason exitCode =
    let record =
        CellFailureRecord(CellFailureRecord.CurrentSchema, reason, exitCode, DateTime.UtcNow)

    ArtifactJson.Write(failureFile board cell, record)

/// Forgets failures, so that their cells are tried again.
let forgive board =
    for cell in board.Sweep.Cells do
        let file = failureFile board cell

        if File.Exists file then
            File.Delete file

let private evaluationOf (config: RunConfig) images folder record =
    try
        if Settings.isClassifier config then
            EvaluateClassifier.find (EvaluateClassifier.fingerprint config.Evaluation record images) folder
            |> Option.map Judgement.Classifier
        else
            Evaluate.find (Evaluate.fingerprint config.Evaluation record images) folder
            |> Option.map Judgement.Autoencoder
    with :? ArtifactException ->
        // the stage says what is wrong with it
        None

/// Where every cell stands now.
let look (board: Board) : (Cell * CellState) list =
    let runs =
        [
            for run in Store.list board.Store do
                match run.Record with
                | Ok record when record.Status = RunStatus.Completed -> record.Fingerprint, (run.Folder, record)
                | _ -> ()
        ]
        |> List.groupBy fst
        |> dict

    let completed (cell: Cell) images run =
        let config = cell.Variant.Config

        match runs.TryGetValue run with
        | true, same ->
            same
            |> List.map snd
            |> List.sortByDescending (fun (_, record) -> record.StartedUtc)
            |> List.tryPick (fun (folder, record) ->
                evaluationOf config images folder record
                |> Option.map (fun judgement -> CellState.Completed(folder, record, judgement)))
        | _ -> None

    let unfinished cell =
        let failure = failureFile board cell

        if File.Exists failure then
            CellState.Failed(ArtifactJson.Read<CellFailureRecord> failure)
        else
            match Claim.Latest(cellFolder board cell) with
            | Some claim when claim.IsHeld DateTime.UtcNow -> CellState.Running claim
            | Some _ -> CellState.Interrupted
            | None -> CellState.Waiting

    [
        for cell, images, run in List.zip3 board.Sweep.Cells board.Images board.Runs ->
            cell, completed cell images run |> Option.defaultWith (fun () -> unfinished cell)
    ]

let status state =
    match state with
    | CellState.Completed _ -> CellStatus.Completed
    | CellState.Failed _ -> CellStatus.Failed
    | CellState.Running _ -> CellStatus.Running
    | CellState.Interrupted -> CellStatus.Interrupted
    | CellState.Waiting -> CellStatus.Waiting

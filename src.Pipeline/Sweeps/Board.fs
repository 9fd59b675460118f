/// The status of every cell of a sweep, which follows from runs, claims and failures. Nothing else is stored.
module DQ.Pipeline.Sweeps.Board

open System
open System.IO
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open DQ.Pipeline.Sweeps.Sweep
open FsToolkit.ErrorHandling

/// A cell's run and its numbers.
type FinishedCell = {
    Folder: string
    Record: RunRecord
    Evaluation: Evaluations.Evaluation
}

[<RequireQualifiedAccess>]
type CellState =
    | Completed of FinishedCell
    | Failed of CellFailureRecord
    | Running of ClaimRecord
    | Interrupted
    | Waiting

/// The names of the outputs of a cell's pipeline.
type CellNames = { Run: string; Evaluation: string }

/// A sweep whose images are known, and its folder.
type Board = {
    Standing: Standing
    Sweep: Sweep
    Fingerprint: string
    Folder: string
    /// Names by cell.
    Names: CellNames list
}

/// Raised when equal cells would make another sweep than before.
let private version = 1

let private namesOf (standing: Standing) (cell: Cell) =
    // only names are needed; existing files are not read
    let standing = {
        standing with
            Runs = fun () -> []
            Force = true
    }

    let nameOf stage =
        Stage.plan standing stage
        |> Result.map (fun planned ->
            Fingerprint.parts planned.Fingerprint
            |> Option.map List.exactlyOne
            |> Option.defaultValue "")

    result {
        let! run = nameOf (Pipelines.model cell.Variant)
        let! evaluation = nameOf (Pipelines.evaluated cell.Variant)
        return { Run = run; Evaluation = evaluation }
    }

/// Finds the images of the cells. Their path does not matter: a sweep over the same images is the same sweep.
let open' (standing: Standing) (sweep: Sweep) : Result<Board, StageError> =
    result {
        let! names = sweep.Cells |> List.traverseResultM (namesOf standing)

        let fingerprint =
            Fingerprint.ofParts [
                "sweep"
                string version
                for cell, names in List.zip sweep.Cells names do
                    names.Run
                    Evaluations.settings cell.Variant.Config.Evaluation
            ]

        return {
            Standing = standing
            Sweep = sweep
            Fingerprint = fingerprint
            Folder = Path.Combine(standing.Store.Root, SweepLayout.Sweeps, Store.folderName sweep.Name fingerprint)
            Names = names
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

/// Removes failures, so that their cells are tried again.
let forgive board =
    for cell in board.Sweep.Cells do
        let file = failureFile board cell

        if File.Exists file then
            File.Delete file

/// The present status of every cell.
let look (board: Board) : (Cell * CellState) list =
    let standing = Standing.asOfNow board.Standing

    let completed (cell: Cell) names =
        // if a file can't be read, the stage reports it when it works
        try
            StoredStage.completed standing names.Run
            |> List.tryPick (fun (folder, record) ->
                Evaluations.find record.Kind cell.Variant.Config.Evaluation names.Evaluation folder
                |> Option.map (fun evaluation ->
                    CellState.Completed {
                        Folder = folder
                        Record = record
                        Evaluation = evaluation
                    }))
        with :? ArtifactException ->
            None

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
        for cell, names in List.zip board.Sweep.Cells board.Names ->
            cell, completed cell names |> Option.defaultWith (fun () -> unfinished cell)
    ]

let status state =
    match state with
    | CellState.Completed _ -> CellStatus.Completed
    | CellState.Failed _ -> CellStatus.Failed
    | CellState.Running _ -> CellStatus.Running
    | CellState.Interrupted -> CellStatus.Interrupted
    | CellState.Waiting -> CellStatus.Waiting

/// Where every cell of a sweep stands, as runs, claims and failures say: nothing else is kept.
module DQ.Pipeline.Sweeps.Board

open System
open System.IO
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open DQ.Pipeline.Sweeps.Sweep
open FsToolkit.ErrorHandling

[<RequireQualifiedAccess>]
type CellState =
    | Completed of Evaluate.EvaluatedRun
    | Failed of CellFailureRecord
    | Running of ClaimRecord
    | Interrupted
    | Waiting

/// A sweep whose images are known, and its folder.
type Board = {
    Standing: Standing
    Sweep: Sweep
    Fingerprint: string
    Folder: string
}

/// Raised when equal cells would make another sweep than before.
let private version = 1

/// Finds out which images the cells work on. Where they lie does not matter: a sweep over the same images is the same.
let open' (standing: Standing) (sweep: Sweep) : Result<Board, StageError> =
    result {
        let! cells =
            sweep.Cells
            |> List.traverseResultM (fun cell ->
                Stage.plan standing (Pipelines.model cell.Variant)
                |> Result.map (fun planned -> [
                    yield! Fingerprint.parts planned.Fingerprint |> Option.defaultValue []
                    Evaluate.settings cell.Variant.Config.Evaluation
                ]))

        let fingerprint =
            Fingerprint.ofParts [ "sweep"; string version; yield! List.concat cells ]

        return {
            Standing = standing
            Sweep = sweep
            Fingerprint = fingerprint
            Folder = Path.Combine(standing.Store.Root, SweepLayout.Sweeps, Store.folderName sweep.Name fingerprint)
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

/// Where every cell stands now.
let look (board: Board) : (Cell * CellState) list =
    let standing = Standing.asOfNow board.Standing

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
        for cell in board.Sweep.Cells ->
            cell,
            match Stage.plan standing (Pipelines.evaluated cell.Variant) with
            | Ok { Finished = Some run } -> CellState.Completed run.Value
            // where something can't be read, the stage says so when it works
            | _ -> unfinished cell
    ]

let status state =
    match state with
    | CellState.Completed _ -> CellStatus.Completed
    | CellState.Failed _ -> CellStatus.Failed
    | CellState.Running _ -> CellStatus.Running
    | CellState.Interrupted -> CellStatus.Interrupted
    | CellState.Waiting -> CellStatus.Waiting

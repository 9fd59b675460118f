/// Works on a sweep's cells until none is left: claims one, trains and evaluates it, and continues with the next.
module DQ.Pipeline.Sweeps.Work

open System
open System.Threading
open System.Threading.Tasks
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Data
open DQ.Pipeline.Sweeps.Board
open DQ.Pipeline.Sweeps.Sweep
open FsToolkit.ErrorHandling

/// Time between two checks while other processes work on the remaining cells.
let private pause = TimeSpan.FromSeconds 1.0

/// The result of a claimed cell.
type private Outcome =
    /// Completed, or its failure recorded.
    | Settled
    /// A process outside of this sweep works on its run; it will be tried again.
    | Elsewhere
    /// No cell can continue: the program was stopped, or the disk is full.
    | End of StageError

let private isLeft state =
    match state with
    | CellState.Waiting
    | CellState.Interrupted -> true
    | _ -> false

/// Packs the images of all cells before any cell begins; one process does it, while others wait.
let private prepare (context: StageContext) (cells: Cell list) =
    let rec ofSource (data: DataConfig) =
        task {
            match! Stage.run context (Pipelines.packed data) with
            | Error(Busy _) ->
                do! Task.Delay(pause, context.Cancellation)
                return! ofSource data
            | outcome -> return Result.map ignore<Dataset> outcome
        }

    cells
    |> List.map _.Variant.Config.Data
    |> List.distinct
    |> List.traverseTaskResult ofSource
    |> TaskResult.ignore

/// Trains and evaluates a cell under its claim.
let private execute (context: StageContext) (cell: Cell) (claim: Claim) =
    task {
        use stop =
            CancellationTokenSource.CreateLinkedTokenSource(context.Cancellation, claim.Lost)

        let stopped () =
            if context.Cancellation.IsCancellationRequested then
                context.Stopped()
            else
                Busy "another process took this cell over"

        let context = {
            context with
                Cancellation = stop.Token
                Stopped = stopped
        }

        try
            return! Stage.run context (Pipelines.evaluated cell.Variant) |> TaskResult.ignore
        with error ->
            return Error(CheckFailed $"an error of this program: {error.GetType().Name}: {Stage.firstLine error}")
    }

let private settle board (cell: Cell) outcome =
    match outcome with
    | Ok() -> Settled
    | Error(Busy _) -> Elsewhere
    | Error(Interrupted _ | TimeUp _ | Storage _ as error) -> End error
    | Error error ->
        fail board cell (StageError.lines error |> String.concat "; ") (StageError.exitCode error)
        Settled

/// Claims the first cell that no other process has claimed, if there is one.
let private claimOne board (cells: Cell list) =
    cells
    |> List.tryPick (fun cell ->
        match Claim.TryTake(cellFolder board cell) with
        | None -> None
        | Some claim ->
            // it may have failed between the check and the claim
            match look board |> List.find (fun (other, _) -> other.Index = cell.Index) with
            | _, CellState.Running _ -> Some(cell, claim)
            | _ ->
                (claim :> IDisposable).Dispose()
                None)

let private workOn (context: StageContext) board report (cell: Cell) (claim: Claim) =
    task {
        use claim = claim
        report ()
        context.Note $"cell {cell.Index + 1} of {board.Sweep.Cells.Length}: {cell.Variant.Variant}"
        let! outcome = execute context cell claim

        match outcome with
        | Error error when not context.Cancellation.IsCancellationRequested ->
            for line in StageError.lines error do
                context.Note $"cell {cell.Index + 1}: {line}"
        | _ -> ()

        return settle board cell outcome
    }

/// Works on this process's share of the cells until each is completed or has failed, in this process or another. The
/// cells of a process that dies are taken over. `report` receives every change.
let run
    (context: StageContext)
    (board: Board)
    (isMine: Cell -> bool)
    (report: unit -> unit)
    : Task<Result<unit, StageError>> =
    let mine () =
        look board |> List.filter (fst >> isMine)

    let rec go elsewhere =
        task {
            let states = mine ()
            let left = states |> List.filter (snd >> isLeft) |> List.map fst
            let running = states |> List.exists (fun (_, state) -> state.IsRunning)

            if context.Cancellation.IsCancellationRequested then
                return Error(context.Stopped())
            elif left.IsEmpty && not running then
                return Ok()
            else
                let candidates =
                    left |> List.filter (fun cell -> not (Set.contains cell.Index elsewhere))

                match claimOne board candidates with
                | None ->
                    do! Task.Delay(pause, context.Cancellation)
                    return! go Set.empty
                | Some(cell, claim) ->
                    let! outcome = workOn context board report cell claim
                    report ()

                    match outcome with
                    | Settled -> return! go elsewhere
                    | Elsewhere -> return! go (Set.add cell.Index elsewhere)
                    | End error -> return Error error
        }

    task {
        try
            match mine () |> List.filter (snd >> isLeft) |> List.map fst with
            | [] -> return! go Set.empty
            | cells ->
                match! prepare context cells with
                | Error error -> return Error error
                | Ok() -> return! go Set.empty
        with :? OperationCanceledException ->
            return Error(context.Stopped())
    }

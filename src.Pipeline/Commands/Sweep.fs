/// `dq sweep`: the runs of a grid or list of settings, and one table of them.
module DQ.Pipeline.Commands.Sweep

open System
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Host
open DQ.Pipeline.Sweeps
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string
    | Plan
    | Summary
    | [<Unique>] Shard of SHARD: string
    | [<Unique>] Jobs of N: int
    | [<Unique>] Max_Minutes of MINUTES: float
    | Retry
    | [<Hidden>] Worker

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file with a sweep object (JSON with comments)."
            | Set _ ->
                "KEY=VALUE, which replaces values of the configuration and of the cells; may be given several times."
            | Plan -> "only say the state of every cell."
            | Summary -> "only write the tables again, from the runs there are."
            | Shard _ ->
                "i/n: only every n-th cell from the i-th, for array jobs. Without it, processes that share an artifacts folder divide the cells as they go."
            | Jobs _ -> "number of cells to work on at once, each in its own process (default: 1)."
            | Max_Minutes _ -> "save and stop after this many minutes, with exit code 0; the same command continues."
            | Retry -> "try failed cells again."
            | Worker -> "one of --jobs: stops when its standard input ends."

let example =
    "dq sweep configs/paper/small.json --set data.path=cifar-10-batches-bin --jobs 2"

/// Cells of a shard i/n, 1 ≤ i ≤ n.
let private shard (text: string option) : Result<Sweep.Cell -> bool, StageError> =
    match text with
    | None -> Ok(fun _ -> true)
    | Some text ->
        match text.Split '/' |> Array.map Int32.TryParse with
        | [| true, i; true, n |] when 1 <= i && i <= n -> Ok(fun cell -> cell.Index % n = i - 1)
        | _ -> Error(Usage $"--shard {text}: expected i/n with i from 1 to n, such as 1/4")

let private jobs (arguments: ParseResults<Arguments>) =
    match arguments.GetResult(Jobs, 1) with
    | jobs when jobs >= 1 && jobs <= 256 -> Ok jobs
    | jobs -> Error(Usage $"--jobs {jobs}: expected a number of processes from 1 to 256")

let private describePlan (board: Board.Board) (sweep: SweepRecord) =
    let rows = [
        for cell in board.Sweep.Cells do
            let record = sweep.Cells[cell.Index]

            [
                string (cell.Index + 1)
                cell.Variant.Variant
                record.Status
                [ record.Run; record.Reason ] |> List.choose Option.ofObj |> String.concat ""
            ]
    ]

    $"{Table.render Table.Left rows}\n{Report.standing sweep}; {board.Folder}\n"

/// What a worker is told: the same sweep, on the same device.
let private workerArguments (place: Workplace) (arguments: ParseResults<Arguments>) = [
    "sweep"
    arguments.GetResult Config
    for assignment in arguments.GetResults Set do
        "--set"
        assignment
    for shard in Option.toList (arguments.TryGetResult Shard) do
        "--shard"
        shard
    "--worker"
    "--artifacts"
    place.Settings.Artifacts
    "--device"
    place.Settings.Device
    for count in Option.toList place.Settings.Threads do
        "--threads"
        count
    for folder in Option.toList place.Settings.LibTorch do
        "--libtorch"
        folder
]

/// Works on the cells, here or in processes.
let private work place (arguments: ParseResults<Arguments>) board published isMine jobs =
    task {
        if jobs > 1 then
            let! codes = Workers.run place (workerArguments place arguments) jobs

            return
                if place.Interruption.Token.IsCancellationRequested then
                    Error place.Interruption.Reason
                else
                    let isOpen (cell, state) =
                        isMine cell
                        && match state with
                           | Board.CellState.Completed _
                           | Board.CellState.Failed _ -> false
                           | _ -> true

                    match codes |> List.filter ((<>) 0), Board.look board |> List.exists isOpen with
                    | code :: _, true ->
                        // what is no code of this program is a signal's
                        let exitCode = if code <= 5 then code else 1
                        Error(Several([ $"a worker ended with exit code {code}, and cells are left" ], exitCode))
                    | _ -> Ok()
        else
            return!
                Command.inContext place false (fun context ->
                    Work.run context board isMine (fun () -> Report.write board published |> ignore))
    }

let private failures (board: Board.Board) isMine =
    let failed = [
        for cell, state in Board.look board do
            match state with
            | Board.CellState.Failed failure when isMine cell -> cell, failure
            | _ -> ()
    ]

    match failed with
    | [] -> Ok()
    | _ ->
        let lines = [
            for cell, failure in failed ->
                $"cell {cell.Index + 1} ({cell.Variant.Variant}) failed: {failure.Reason}; --retry tries it again"
        ]

        let exitCode =
            match failed |> List.map (fun (_, failure) -> failure.ExitCode) |> List.distinct with
            | [ code ] -> code
            | _ -> 1

        Error(Several(lines, exitCode))

/// Stops this process when its standard input ends, as it does when the one that started it is gone.
let private stopWithInput (place: Workplace) =
    Task.Run(fun () ->
        Console.In.ReadToEnd() |> ignore
        place.Interruption.Stop(Interrupted 15))
    |> ignore

let private tables (sweep: Sweep.Sweep) =
    sweep.Published |> Option.map Tables.load |> Option.defaultValue (Ok [])

let private showPlan (place: Workplace) board published =
    let sweep = Report.now board published
    place.Output.Result(describePlan board sweep, sweep)

/// Where every cell of a configuration's sweep stands.
let plan (place: Workplace) file assignments : Result<unit, StageError> =
    result {
        let! sweep = Sweep.load Trends.names file assignments
        let! published = tables sweep
        let! board = Board.open' place.Standing sweep
        showPlan place board published
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) : Task<Result<unit, StageError>> =
    let opened =
        result {
            let! isMine = shard (arguments.TryGetResult Shard)
            let! jobs = jobs arguments

            let! sweep =
                Sweep.load Trends.names (arguments.GetResult Config) (arguments.GetResults Set)

            let! published = tables sweep
            let! board = Board.open' place.Standing sweep
            return isMine, jobs, published, board
        }

    let show (board: Board.Board) (sweep: SweepRecord) =
        place.Output.Result($"{Report.plain sweep}\n{board.Folder}\n", sweep)

    task {
        match opened with
        | Error error -> return Error error
        | Ok(_, _, published, board) when arguments.Contains Plan ->
            showPlan place board published
            return Ok()
        | Ok(_, _, published, board) when arguments.Contains Summary ->
            show board (Report.write board published)
            return Ok()
        | Ok(isMine, _, published, board) when arguments.Contains Worker ->
            stopWithInput place
            return! work place arguments board published isMine 1
        | Ok(isMine, jobs, published, board) ->
            if arguments.Contains Retry then
                Board.forgive board

            let! outcome = work place arguments board published isMine jobs
            let sweep = Report.write board published

            match outcome with
            | Error error -> return Error error
            | Ok() ->
                match failures board isMine with
                | Ok() ->
                    show board sweep
                    return Ok()
                | Error error ->
                    if not place.Output.Json then
                        show board sweep

                    return Error error
    }

namespace DQ.Pipeline.Host

open System
open System.Collections.Generic
open System.Diagnostics
open System.Text.Json
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Pipeline
open Spectre.Console

/// How much is said, and in which form.
type Verbosity = {
    Json: bool
    Quiet: bool
    Verbose: bool
}

/// The pace of one piece of work, for the time left.
type private Pace = {
    Clock: Stopwatch
    First: int64
    mutable Said: TimeSpan
}

/// What the user sees. Results go to standard output, alone; progress, notes and errors to standard error.
/// A follower of a team says nothing but what it alone knows, under its name.
type Output(verbosity: Verbosity, ?follower: string) =
    let verbosity =
        if follower.IsSome then
            { verbosity with Quiet = true }
        else
            verbosity

    /// Anonymous records of F# say of no property that it may be null.
    static let resultJson =
        JsonSerializerOptions(ArtifactJson.Options, RespectNullableAnnotations = false)

    /// Between two plain lines about the same work.
    static let interval = TimeSpan.FromSeconds 5.0

    let terminal =
        AnsiConsole.Create(AnsiConsoleSettings(Out = AnsiConsoleOutput Console.Error))

    let isInteractive =
        not verbosity.Json && not verbosity.Quiet && not Console.IsErrorRedirected

    let gate = obj ()
    let paces = Dictionary<string, Pace>()
    let mutable live: ProgressContext option = None
    let mutable hasResult = false
    let bars = Dictionary<string, ProgressTask>()

    let details (p: Report) = [
        match p.Loss with
        | Some loss -> $"loss {loss:F4}"
        | None -> ()
        match p.ImagesPerSecond with
        | Some rate -> $"{rate:F0} images/s"
        | None -> ()
    ]

    let paceOf (p: Report) =
        match paces.TryGetValue p.Title with
        | true, pace -> pace
        | _ ->
            let pace = {
                Clock = Stopwatch.StartNew()
                First = p.Done
                Said = -interval
            }

            paces[p.Title] <- pace
            pace

    let plain (p: Report) =
        let pace = paceOf p
        let elapsed = pace.Clock.Elapsed

        if elapsed - pace.Said >= interval || p.Done = p.Total then
            pace.Said <- elapsed

            let left =
                match p.Done - pace.First with
                | 0L -> []
                | gained when p.Done < p.Total ->
                    let seconds = elapsed.TotalSeconds * float (p.Total - p.Done) / float gained
                    [ $"{TimeSpan.FromSeconds(Math.Ceiling seconds):c} left" ]
                | _ -> []

            let parts = $"{p.Done}/{p.Total} {p.Unit}" :: details p @ left |> String.concat ", "
            eprintfn $"{p.Title}: {parts}"

    let bar (context: ProgressContext) (p: Report) =
        let task =
            match bars.TryGetValue p.Title with
            | true, task -> task
            | _ ->
                let task = context.AddTask(Markup.Escape p.Title)
                bars[p.Title] <- task
                task

        task.MaxValue <- float p.Total
        task.Value <- float p.Done
        task.Description <- Markup.Escape(String.concat "  " (p.Title :: details p))

    member _.Json = verbosity.Json
    member _.Verbose = verbosity.Verbose

    /// One line about what happens.
    member _.Note(line: string) =
        let line = StageError.onOneLine line

        if not verbosity.Quiet then
            lock gate (fun () ->
                if isInteractive then
                    terminal.MarkupLine(Markup.Escape line)
                else
                    eprintfn $"{line}")

    member _.Progress(progress: Report) =
        if not verbosity.Quiet then
            lock gate (fun () ->
                match live with
                | Some context -> bar context progress
                | None -> plain progress)

    /// Shows a line of progress that is drawn again in place while the work goes on, where there is a terminal.
    member _.Watch(work: unit -> Task<'a>) : Task<'a> =
        if isInteractive then
            let columns: ProgressColumn[] = [|
                TaskDescriptionColumn(Alignment = Justify.Left)
                ProgressBarColumn()
                PercentageColumn()
                RemainingTimeColumn()
            |]

            terminal
                .Progress()
                .Columns(columns)
                .HideCompleted(true)
                .AutoClear(true)
                .StartAsync(fun context ->
                    task {
                        lock gate (fun () -> live <- Some context)

                        try
                            return! work ()
                        finally
                            lock gate (fun () -> live <- None)
                    })
        else
            work ()

    /// The command's result: text, or JSON for machines.
    member _.Result(text: string, data: obj) =
        hasResult <- true

        if follower.IsSome then
            ()
        elif verbosity.Json then
            printfn "%s" (JsonSerializer.Serialize(data, data.GetType(), resultJson))
        else
            printf "%s" text

    /// Says what went wrong, or that the time was up, a line per problem, with --json on standard output too; gives the exit code.
    member this.Failure(error: StageError) =
        let lines = StageError.lines error
        let exitCode = StageError.exitCode error

        // a progress that did not end by itself hid it
        if isInteractive then
            terminal.Cursor.Show true

        for line in lines do
            match follower with
            | Some name -> eprintfn $"dq: {name}: {line}"
            | None -> eprintfn $"dq: {line}"

        // a result that is out already says what failed in its own way: one document only
        if verbosity.Json && not hasResult then
            let stopped, errors =
                match error with
                | TimeUp _ -> Some(String.concat "; " lines), []
                | _ -> None, lines

            this.Result(
                "",
                {|
                    Errors = errors
                    Stopped = Option.toObj stopped
                    ExitCode = exitCode
                |}
            )

        exitCode

/// Text in columns.
module Table =
    type Align =
        | Left
        | Right

    /// Rows of cells; the first column is flush left, the others as said.
    let render align (rows: string list list) =
        let width column =
            rows |> List.choose (List.tryItem column) |> List.map _.Length |> List.max

        let widths = [
            for column in 0 .. (rows |> List.map _.Length |> List.max) - 1 -> width column
        ]

        let line (row: string list) =
            [
                for column, cell in List.indexed row ->
                    if column = 0 || align = Left then
                        cell.PadRight widths[column]
                    else
                        cell.PadLeft widths[column]
            ]
            |> String.concat "  "

        rows |> List.map (fun row -> (line row).TrimEnd() + "\n") |> String.concat ""

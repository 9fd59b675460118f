module DQ.Tests.Program

open System
open System.IO
open Expecto
open Expecto.Impl

/// The last line of the output, for people and scripts alike.
let private tally (summary: TestRunSummary) =
    let failed = summary.failed.Length + summary.errored.Length

    let skipped =
        match summary.ignored.Length with
        | 0 -> ""
        | skipped -> $", {skipped} skipped"

    $"{summary.passed.Length} passed, {failed} failed{skipped}"

[<EntryPoint>]
let main arguments =
    DQ.Core.Native.LibTorch.Load() |> ignore
    // the models here are tiny: a second thread only adds waiting
    TorchSharp.torch.set_num_threads 1
    let summary: TestRunSummary option ref = ref None

    let settings = [
        Fail_On_Focused_Tests
        Append_Summary_Handler(SummaryHandler(fun result -> summary.Value <- Some result))
        // a file or a pipe gets plain lines
        if Console.IsOutputRedirected then
            No_Spinner
            Colours 0
    ]

    let exitCode = runTestsInAssemblyWithCLIArgs settings arguments

    // Expecto leaves escape sequences and padding on the console's last line: a line of its own, past Expecto's writer.
    // There is no summary where tests were only listed, or refused because one is focused.
    match summary.Value with
    | Some summary ->
        use output = new StreamWriter(Console.OpenStandardOutput())
        output.Write $"\n{tally summary}\n"
    | None -> ()

    exitCode

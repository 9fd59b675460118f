/// Means, deviations, trends and tables.
module DQ.Tests.Sweeps.RowsTests

open System.Collections.Generic
open System.IO
open Expecto
open FsCheck
open FsCheck.FSharp
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Sweeps
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program

let private values =
    Gen.choose (-1000, 1000)
    |> Gen.map (fun number -> float number / 100.0)
    |> Gen.nonEmptyListOf

/// The row with another mean of its loss.
let private withLoss (row: Rows.Row) (loss: float) : Rows.Row =
    let metrics = Dictionary<string, SweepStatistic>()
    metrics[row.Record.Loss] <- Rows.statistic [ loss ]

    {
        row with
            Record =
                SweepRow(
                    Settings = row.Record.Settings,
                    Loss = row.Record.Loss,
                    Cells = row.Record.Cells,
                    Completed = row.Record.Completed,
                    Metrics = metrics,
                    Published = row.Record.Published
                )
    }

/// Table 1 with its published losses in place of measured ones.
let private table1 =
    lazy
        (inFolder (fun data ->
            let file = Path.Combine(repository, "configs", "paper", "table1.json")

            match Sweep.load Trends.names file [ $"data.path={data}"; "sweep.seeds=[0]" ] with
            | Error error -> failtestf "%A" (StageError.lines error)
            | Ok sweep ->
                match Tables.load (nonNull (Option.toObj sweep.Published)) with
                | Error error -> failtestf "%A" (StageError.lines error)
                | Ok entries ->
                    Rows.ofStates sweep.Keys entries [ for cell in sweep.Cells -> cell, Board.CellState.Waiting ]
                    |> List.map (fun row ->
                        match row.Record.Published.TryGetValue row.Record.Loss with
                        | true, published -> withLoss row published.Value
                        | _ -> row)))

let private holds name rows = [
    for trend in Trends.judge [ name ] rows -> trend.Subject, Option.ofNullable trend.Holds
]

[<Tests>]
let tests =
    testList "Sweeps.Rows" [
        test "mean and sample deviation" {
            let statistic = Rows.statistic [ 2.0; 4.0; 4.0; 4.0; 5.0; 5.0; 7.0; 9.0 ]
            Expect.floatClose Accuracy.high statistic.Mean 5.0 "mean"
            Expect.floatClose Accuracy.high statistic.SampleDeviation.Value (sqrt (32.0 / 7.0)) "n − 1"
            Expect.isFalse (Rows.statistic [ 3.0 ]).SampleDeviation.HasValue "one value has none"
        }

        testProperty "a shift moves the mean and not the deviation; a factor scales both"
        <| Prop.forAll (Arb.fromGen values) (fun values ->
            let close (a: float) b = abs (a - b) < 1e-9 * (1.0 + abs b)
            let original = Rows.statistic values
            let shifted = Rows.statistic [ for value in values -> value + 5.0 ]
            let scaled = Rows.statistic [ for value in values -> value * 3.0 ]

            close shifted.Mean (original.Mean + 5.0)
            && close scaled.Mean (original.Mean * 3.0)
            && (values.Length = 1
                || (close shifted.SampleDeviation.Value original.SampleDeviation.Value
                    && close scaled.SampleDeviation.Value (original.SampleDeviation.Value * 3.0))))

        test "the published numbers have the published trends" {
            let rows = table1.Value
            let both = [ "depthwise", Some true; "vector", Some true ]
            Expect.equal (holds "loss_falls_with_codebooks" rows) both "M"
            Expect.equal (holds "loss_falls_with_codes" rows) both "K"
            Expect.equal (holds "codes_matter_less" rows).Head ("depthwise", Some true) "M against K"
            Expect.equal (holds "equal_at_one_codebook" rows) [ "", Some true ] "M = 1"
            Expect.equal (holds "depthwise_below_vector" rows) [ "", Some true ] "M > 1"
        }

        test "a trend that one number breaks does not hold, and says which; without numbers it can't be said" {
            let rows = table1.Value

            let broken =
                rows
                |> List.map (fun row ->
                    let model = row.Tree["model"] |> nonNull

                    let isOne =
                        ConfigTree.canonical model["codebooks"] = "3"
                        && ConfigTree.canonical model["codes"] = "[128]"

                    if isOne then withLoss row 9.0 else row)

            Expect.equal
                (holds "loss_falls_with_codebooks" broken)
                [ "depthwise", Some false; "vector", Some false ]
                "M"

            Expect.equal (holds "depthwise_below_vector" broken) [ "", Some false ] "9 is not below 9"
            let evidence = (Trends.judge [ "depthwise_below_vector" ] broken).Head.Evidence
            Expect.isTrue (evidence |> Seq.exists _.Contains("9 depthwise, 9 vector")) "the numbers"
            Expect.equal (holds "depthwise_below_vector" []) [ "", None ] "no numbers"

            let oneCodebook =
                rows
                |> List.filter (fun row -> ConfigTree.canonical (nonNull row.Tree["model"]).["codebooks"] = "1")

            Expect.equal (holds "depthwise_below_vector" oneCodebook) [ "", None ] "no pair to compare"
        }
    ]

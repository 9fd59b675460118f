/// `dq verify`: this implementation against recorded outputs of the published one.
module DQ.Pipeline.Commands.Verify

open System
open System.Threading.Tasks
open Argu
open DQ.Core.Formats
open DQ.Core.Verification
open DQ.Pipeline
open DQ.Pipeline.Numbers
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Files of FILE: string list

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Files _ -> "parity files: safetensors with weights, inputs and outputs of the published implementation."

let example = "dq verify tests/Fixtures/parity/*.safetensors"

/// What a file shows, or why it can't be used.
let private check (file: string) =
    try
        file, Ok(List.ofSeq (ParityCheck.Run file))
    with :? WeightsException as error ->
        file, Error error.Message

let private table (file: string) (results: ParityResult list) =
    let small = number "0.0e+00"

    $"{file}\n"
    + Table.render Table.Left [
        [ "  quantity"; "largest error"; "tolerance"; ""; "measured as" ]
        for result in results do
            [
                $"  {result.Quantity}"
                small result.Error
                small result.Tolerance
                (if result.Passed then "pass" else "FAIL")
                result.Measure
            ]
    ]

let run (place: Workplace) (arguments: ParseResults<Arguments>) : Task<Result<unit, StageError>> =
    result {
        let! _ = Workplace.loadTorch place
        let checks = arguments.GetResult Files |> List.map check

        place.Output.Result(
            String.Join(
                "\n",
                [
                    for file, outcome in checks do
                        match outcome with
                        | Ok results -> table file results
                        | Error _ -> ()
                ]
            ),
            {|
                Files = [|
                    for file, outcome in checks do
                        let results = Result.defaultValue [] outcome

                        {|
                            File = file
                            Passed = Result.isOk outcome && results |> List.forall _.Passed
                            Error =
                                match outcome with
                                | Ok _ -> null
                                | Error message -> message
                            Results = results
                        |}
                |]
            |}
        )

        let unusable = [
            for _, outcome in checks do
                match outcome with
                | Ok _ -> ()
                | Error message -> message
        ]

        let failed = [
            for file, outcome in checks do
                match outcome with
                | Ok results when results |> List.exists (fun result -> not result.Passed) -> file
                | _ -> ()
        ]

        if not unusable.IsEmpty then
            return! Error(Data(String.Join("; ", unusable)))

        if not failed.IsEmpty then
            return! Error(CheckFailed($"""out of tolerance: {String.Join(", ", failed)}"""))
    }
    |> Task.FromResult

/// The learning-rate range test.
module DQ.Tests.Pipeline.RateTestTests

open System.IO
open System.Text.Json.Nodes
open Expecto
open DQ.Pipeline.Training
open DQ.Tests.Pipeline.Program
open DQ.Tests.TemporaryFolder

let private tiny =
    """{ "data": { "count": 60, "image_size": 8 },
         "model": { "channels": 8, "residual_channels": 8, "coder_blocks": 1, "codes": [8, 8], "codebooks": 2, "code_width": 4 },
         "training": { "batch_size": 4, "initialization_batches": 2 } }"""

let private points losses =
    ([], List.indexed losses)
    ||> List.fold (fun points (index, loss) -> RateTest.add points (10.0 ** (float index - 6.0), loss))
    |> List.rev

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.RateTest" [
        test "rates grow by the same factor from the first to the last" {
            let ask: RateTest.Ask = { From = 1e-6; To = 1e-2; Steps = 5 }

            for step, expected in List.indexed [ 1e-6; 1e-5; 1e-4; 1e-3; 1e-2 ] do
                Expect.floatClose Accuracy.high (RateTest.rate ask step) expected $"step {step}"
        }

        test "a constant loss stays as it is when smoothed, and the curve says where it fell and was lowest" {
            for point in points [ 4.0; 4.0; 4.0 ] do
                Expect.floatClose Accuracy.high point.Smoothed 4.0 "corrected for its start"

            let curve = RateTest.curve false (points [ 5.0; 5.0; 1.0; 1.0; 9.0; 20.0 ])
            Expect.floatClose Accuracy.high curve.LowestRate.Value 1e-3 "lowest before it rises"

            Expect.floatClose
                Accuracy.high
                curve.SteepestRate.Value
                (sqrt (1e-5 * 1e-4))
                "between the second and the third"
        }

        test "the command finds rates that train, up to where training diverges, and leaves no run" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "tiny.json")
                File.WriteAllText(file, tiny)
                let artifacts = Path.Combine(folder, "artifacts")
                let csv = Path.Combine(folder, "rates.csv")

                let finished =
                    run [
                        "find-rate"
                        file
                        "--from"
                        "1e-4"
                        "--to"
                        "1000"
                        "--steps"
                        "100"
                        "-o"
                        csv
                        "--json"
                        "--artifacts"
                        artifacts
                    ]

                Expect.equal finished.ExitCode 0 finished.Errors

                let curve =
                    nonNull ((nonNull (nonNull (JsonNode.Parse finished.Output)).["curves"]).AsArray()[0])

                Expect.isTrue ((nonNull curve["diverged"]).GetValue<bool>()) "a rate of 1000 trains nothing"
                let number (key: string) = (nonNull curve[key]).GetValue<float>()
                Expect.isGreaterThan (number "lowest_rate") 1e-3 "training did something"
                Expect.isLessThan (number "lowest_rate") 100.0 "before it diverged"
                let points = (nonNull curve["points"]).AsArray().Count
                Expect.hasLength (File.ReadAllLines csv) (points + 1) "a row per step"
                Expect.isEmpty (Directory.GetDirectories(Path.Combine(artifacts, "runs"))) "no run"
                Expect.equal (run [ "find-rate"; file; "--from"; "1"; "--to"; "0.1" ]).ExitCode 2 "a wrong range")
        }
    ]

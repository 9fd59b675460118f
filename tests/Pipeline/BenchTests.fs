module DQ.Tests.Pipeline.BenchTests

open System.IO
open System.Text.Json
open Expecto
open DQ.Core.Artifacts
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program

let private tiny =
    """{ "data": { "count": 60, "image_size": 8 },
         "model": { "channels": 8, "residual_channels": 8, "coder_blocks": 1, "codes": [8, 8], "codebooks": 2, "code_width": 4 },
         "training": { "batch_size": 4 } }"""

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Bench" [
        test "every part is timed, and a step by its stages too" {
            inFolder (fun folder ->
                let config = Path.Combine(folder, "tiny.json")
                File.WriteAllText(config, tiny)

                let bench =
                    run [ "bench"; config; "--artifacts"; folder; "--repetitions"; "5"; "--json" ]

                Expect.equal bench.ExitCode 0 bench.Errors

                let record =
                    nonNull (JsonSerializer.Deserialize<BenchmarkRecord>(bench.Output, ArtifactJson.Options))

                let seconds name =
                    (record.Parts |> Seq.find (fun part -> part.Name = name)).MedianSeconds

                for name in
                    [
                        "convolutions/forward"
                        "convolutions/backward"
                        "quantizer/0"
                        "quantizer/1"
                        "likelihood"
                        "evaluation"
                        "encode"
                        "decode"
                        "input"
                    ] do
                    Expect.isGreaterThan (seconds name) 0.0 name

                // how long each takes is the machine's affair
                let stages = [
                    for part in record.Parts do
                        if part.Name.StartsWith "step/" then
                            Expect.isGreaterThan part.MedianSeconds 0.0 part.Name
                            part.Name["step/".Length ..]
                ]

                Expect.equal stages [ "forward"; "loss"; "backward"; "optimizer"; "codebooks" ] "stages of a step"
                Expect.isGreaterThan (seconds "step") 0.0 "and the whole"
                Expect.isGreaterThan record.MultiplyAddsPerImage 1000L "multiply-adds"
                Expect.isGreaterThan record.MachinePeaks.CopyBytesPerSecond 0.0 "copy bandwidth")
        }

        test "what can't be measured is said in one line" {
            inFolder (fun folder ->
                let config = Path.Combine(folder, "tiny.json")
                File.WriteAllText(config, tiny)

                let none = run [ "bench"; config; "--artifacts"; folder; "--repetitions"; "0" ]

                Expect.equal none.ExitCode 2 "exit code"
                Expect.equal none.Errors "dq: --repetitions: expected an integer of at least 1, got 0\n" "message"
                let unknown = run [ "bench"; config; "--artifacts"; folder; "--run"; "nothing" ]
                Expect.equal unknown.ExitCode 3 unknown.Errors
                Expect.stringContains unknown.Errors "nothing" "names it")
        }
    ]

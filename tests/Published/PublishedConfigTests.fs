module DQ.Tests.Published.PublishedConfigTests

open System.IO
open DQ.Core.Formats
open DQ.Core.Published
open Expecto
open DQ.Tests.Fixtures

let private read (lines: string list) check =
    withFile (fun path ->
        File.WriteAllLines(path, lines)
        check (PublishedConfig.Read path))

let private refusal (lines: string list) =
    let mutable message = ""

    withFile (fun path ->
        File.WriteAllLines(path, lines)

        try
            PublishedConfig.Read path |> ignore
        with :? WeightsException as error ->
            Expect.stringStarts error.Message path "names the file"
            message <- error.Message)

    message

[<Tests>]
let tests =
    testList "Published.PublishedConfig" [
        test "settings given, defaults for the rest" {
            read
                [
                    "# as published"
                    "[train]"
                    "dataset: cifar10"
                    "use_amp = False"
                    "EPOCHS = 30"
                    "[test]"
                    "model_path = best.pt"
                    ""
                    "[model]"
                    "vq_type = vq"
                    "; bottom first"
                    "n_hier = [128,"
                    "    64]"
                    "loss_name = ce"
                ]
                (fun config ->
                    Expect.equal
                        (config.Model.Quantizer.Kind, config.Model.Likelihood.Kind)
                        ("vector", "categorical")
                        "given"

                    Expect.sequenceEqual config.Model.CodeCounts [ 128; 64 ] "a list over two lines"

                    Expect.equal
                        (config.Model.Channels, config.Model.ResidualBlocks, config.Model.CodeWidth)
                        (256, 3, 64)
                        "defaults"

                    Expect.equal (config.Training.Epochs, config.Training.BatchSize) (30, 128) "training"
                    let training = config.Training.Spec 50000L

                    Expect.equal
                        (training.Steps, training.LearningRate, training.ClipNorm)
                        (30L * 391L, 2e-4, 2.0)
                        "steps"

                    Expect.isEmpty (training.Problems()) "a training that can be run"
                    Expect.equal (config.Test |> Option.ofObj |> Option.map _.ModelPath) (Some "best.pt") "test"
                    Expect.isEmpty config.Notes "nothing to note")
        }

        test "an empty section has all defaults" {
            read [ "[model]" ] (fun config ->
                Expect.sequenceEqual config.Model.CodeCounts [ 512 ] "codes"
                Expect.equal config.Model.Likelihood.Kind "squared_error" "loss"
                Expect.equal config.Training.Epochs 200 "epochs"
                Expect.isNull config.Test "no test")
        }

        test "unknown keys and what means something else here are noted" {
            read
                [
                    "[model]"
                    "chanel = 3"
                    "decay = 0.9"
                    "[train]"
                    "use_amp = True"
                    "warmup = 1"
                    "[extra]"
                    "a = 1"
                ]
                (fun config ->
                    let notes = String.concat "\n" config.Notes

                    for expected in
                        [
                            "model.chanel: no setting"
                            "model.decay: "
                            "train.use_amp: "
                            "train.warmup: no"
                            "[extra]: no section"
                        ] do
                        Expect.stringContains notes expected "noted"

                    Expect.hasLength config.Notes 5 "nothing else")
        }

        for name, lines, expected in
            [
                "values of other types",
                [ "[model]"; "channel = 2.5"; "n_hier = 12"; "vq_type = rq" ],
                "channel: expected an integer, got '2.5'; n_hier"
                "a comment in a value", [ "[train]"; "lr = 2e-4 # peak" ], "lr: expected a number"
                "no images a step", [ "[train]"; "batch_size = 0" ], "batch_size: expected an integer of at least 1"
                "a model that cannot be", [ "[model]"; "stride = 3" ], "stride: expected 2 or 4"
                "no section", [ "channel = 1" ], "line 1: expected [section]"
                "no known section", [ "[a]" ], "expected a section [model]"
                "a key alone", [ "[model]"; "channel" ], "line 2"
                "a key twice", [ "[model]"; "channel = 1"; "Channel = 2" ], "'channel' again"
                "a section twice", [ "[model]"; "[model]" ], "[model] again"
            ] do
            test $"refused: {name}" { Expect.stringContains (refusal lines) expected "says what was expected" }

        test "refused: no file" {
            Expect.throwsT<WeightsException> (fun () -> PublishedConfig.Read "/nowhere/dq.config" |> ignore) "no file"
        }
    ]

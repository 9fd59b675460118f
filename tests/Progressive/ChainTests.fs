module DQ.Tests.Progressive.ChainTests

open System.IO
open Expecto
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Progressive
open DQ.Tests.TemporaryFolder

/// Trains in milliseconds; sides must be divisible by 4.
let tiny (progressive: string) =
    $$"""{ "data": { "count": 60 },
           "model": { "channels": 8, "residual_channels": 8, "coder_blocks": 1, "codes": [8, 8], "codebooks": 2, "code_width": 4 },
           "training": { "steps": 999, "batch_size": 4, "log_every": 5, "validate_every": 5, "checkpoint_every": 5, "keep": 10,
                         "sample_every": 0, "initialization_batches": 2 },
           "evaluation": { "samples": 2 },
           "progressive": {{progressive}} }"""

let written folder progressive =
    let file = Path.Combine(folder, "tiny.json")
    File.WriteAllText(file, tiny progressive)
    file

let private load progressive sets =
    inFolder (fun folder -> Chain.load (written folder progressive) sets)

let private ok result : Chain.Chain =
    match result with
    | Ok chain -> chain
    | Error error -> failtestf "%A" (StageError.lines error)

let private two =
    """{ "stages": { "small": { "image_size": 8, "steps": 20, "learning_rate": 1e-3 },
                     "large": { "image_size": 16, "epochs": 1.5, "batch_size": 8, "freeze": ["encoders"] } } }"""

[<Tests>]
let tests =
    testList "Progressive.Chain" [
        test "stages are configurations: their own settings over the rest" {
            let chain = ok (load two [ "training.clip_norm=3" ])
            let small, large = chain.Phases[0], chain.Phases[1]
            Expect.equal chain.Name "tiny" "the file's name"
            Expect.equal [ small.Name; large.Name ] [ "small"; "large" ] "in their order"
            Expect.equal [ small.Length; large.Length ] [ Chain.Steps 20L; Chain.Epochs 1.5 ] "lengths"
            Expect.equal (small.Config.Data.ImageSize.Value, large.Config.Data.ImageSize.Value) (8, 16) "sizes"
            Expect.equal (small.Config.Training.BatchSize, large.Config.Training.BatchSize) (4, 8) "the rest's, or own"
            Expect.equal small.Config.Training.LearningRate 1e-3 "own rate"
            Expect.equal large.Config.Training.LearningRate Settings.defaults.Training.LearningRate "the rest's"
            Expect.equal (List.ofSeq large.Config.Training.Freeze) [ "encoders" ] "frozen"
            Expect.equal small.Config.Training.ClipNorm 3.0 "--set"
            Expect.isNone chain.Scratch "not asked for"

            // the codes of a later stage come with their averages
            Expect.equal
                [ for stage in chain.Phases -> stage.Config.Model.Quantizer.DecayWarmup ]
                [ Settings.defaults.Model.Quantizer.DecayWarmup; 1.0 ]
                "no warm-up after the first"

            match chain.WithSteps large 7L with
            | Ok variant ->
                Expect.equal (variant.Variant, variant.Config.Training.Steps) ("large", 7L) "steps"
                Expect.equal variant.Config.Data.ImageSize large.Config.Data.ImageSize "nothing else"
            | Error error -> failtestf "%A" error
        }

        test "--set reaches into stages; null takes one out; the training from scratch is like the last" {
            let chain =
                ok (
                    load two [
                        "progressive.stages.small=null"
                        "progressive.stages.large.steps=9"
                        "progressive.stages.large.epochs=null"
                        "progressive.scratch={\"learning_rate\": 0.5}"
                    ]
                )

            Expect.equal [ for stage in chain.Phases -> stage.Name, stage.Length ] [ "large", Chain.Steps 9L ] "one"
            let scratch = chain.Scratch.Value.Config

            Expect.equal
                (scratch.Data.ImageSize.Value, scratch.Training.BatchSize, scratch.Training.LearningRate)
                (16, 8, 0.5)
                "the last stage's, or own"

            Expect.isEmpty scratch.Training.Freeze "nothing is frozen that was never trained"
        }

        test "a quantizer without moving averages has no warm-up to leave out" {
            let chain =
                ok (load two [ "model.quantizer.kind=finite_scalar"; "model.codes=[9, 9]" ])

            Expect.hasLength chain.Phases 2 "both"
        }

        for what, progressive, expected in
            [
                "no stages", """{ "stages": {} }""", [ "progressive.stages: expected at least one stage" ]
                "stages of no kind",
                """{ "stages": [] }""",
                [ "progressive.stages: expected an object of named stages, got []" ]
                "none at all",
                """{ "scratch": {} }""",
                [ "progressive.stages: expected an object of named stages, got null" ]
                "an unknown key",
                """{ "stages": { "a": { "image_size": 8, "steps": 1, "batchsize": 4 } } }""",
                [ "progressive.stages.a.batchsize: unknown key, did you mean 'batch_size'?" ]
                "an unknown key beside stages",
                """{ "stages": { "a": { "image_size": 8, "steps": 1 } }, "from_scratch": true }""",
                [ "progressive.from_scratch: unknown key; known here: stages, scratch" ]
                "a wrong type",
                """{ "stages": { "a": { "image_size": "8", "steps": 1 } } }""",
                [ "progressive.stages.a.image_size: expected a whole number, got \"8\"" ]
                "no size",
                """{ "stages": { "a": { "steps": 1 } } }""",
                [
                    "progressive.stages.a.image_size: expected the side of the images in pixels, got null"
                ]
                "no length",
                """{ "stages": { "a": { "image_size": 8 } } }""",
                [ "progressive.stages.a: expected either steps or epochs" ]
                "two lengths",
                """{ "stages": { "a": { "image_size": 8, "steps": 1, "epochs": 1 } } }""",
                [ "progressive.stages.a: expected either steps or epochs" ]
                "no epochs",
                """{ "stages": { "a": { "image_size": 8, "epochs": 0 } } }""",
                [ "progressive.stages.a.epochs: expected a number above 0, got 0" ]
                "a size that can't be halved",
                """{ "stages": { "a": { "image_size": 8, "steps": 1 }, "b": { "image_size": 10, "steps": 1 } } }""",
                [ "progressive.stages.b.image_size: expected a side divisible by 4" ]
                "a shrinking chain",
                """{ "stages": { "a": { "image_size": 16, "steps": 1 }, "b": { "image_size": 8, "steps": 1 } } }""",
                [
                    "progressive.stages.b.image_size: expected at least 16, the size of the stage before, got 8"
                ]
                "wrong values, all at once",
                """{ "stages": { "a": { "image_size": 8, "steps": 0, "batch_size": 0 }, "b": { "image_size": 8, "steps": 1, "learning_rate": -1, "freeze": ["head"] } } }""",
                [
                    "progressive.stages.a.steps: expected an integer of at least 1, got 0"
                    "progressive.stages.a.batch_size: expected an integer of at least 1, got 0"
                    "progressive.stages.b.learning_rate: expected a number above 0, got -1"
                    "progressive.stages.b.freeze[0]: expected one of encoders"
                ]
                "everything frozen",
                """{ "stages": { "a": { "image_size": 8, "steps": 1, "freeze": ["encoders", "projections", "conditioners", "upsamplers", "decoder"] } } }""",
                [
                    "progressive.stages.a.freeze: expected a part besides the codebooks that is left to train"
                ]
                "a reserved name",
                """{ "stages": { "scratch": { "image_size": 8, "steps": 1 } } }""",
                [ "progressive.stages.scratch: expected another name" ]
                "a scratch of no kind",
                """{ "stages": { "a": { "image_size": 8, "steps": 1 } }, "scratch": true }""",
                [ "progressive.scratch: expected an object { … } or null, got true" ]
                "an unknown key of scratch",
                """{ "stages": { "a": { "image_size": 8, "steps": 1 } }, "scratch": { "steps": 4 } }""",
                [ "progressive.scratch.steps: unknown key" ]
                "no object", "[]", [ "progressive: expected an object { … }, got []" ]
            ] do
            test $"{what} is refused under its key" {
                inFolder (fun folder ->
                    let file = written folder progressive

                    match Chain.load file [] with
                    | Ok chain -> failtestf "expected problems, got %A" [ for stage in chain.Phases -> stage.Name ]
                    | Error error ->
                        Expect.equal (StageError.exitCode error) 2 "exit code"
                        let lines = StageError.lines error
                        Expect.hasLength lines expected.Length $"%A{lines}"

                        for line, expected in List.zip lines expected do
                            Expect.stringStarts line $"{file}: {expected}" what)
            }

        test "variants beside stages, stages where they are not asked for, and none where they are" {
            let lines result =
                match result with
                | Ok _ -> failtest "expected a refusal"
                | Error error -> String.concat "\n" (StageError.lines error)

            Expect.stringContains
                (lines (load two [ "variants={\"a\": {}}" ] |> Result.map ignore))
                "variants: expected none beside progressive"
                "variants"

            Expect.stringContains
                (lines (load two [ "progressive=null" ] |> Result.map ignore))
                "expected a progressive object"
                "dq progressive"

            inFolder (fun folder ->
                let file = written folder two
                Expect.stringContains (lines (Config.load file [] |> Result.map ignore)) "dq progressive runs" "dq run"
                Expect.isOk (Config.load file [ "progressive=null" ]) "without it, a run")
        }
    ]

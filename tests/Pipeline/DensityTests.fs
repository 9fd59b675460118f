module DQ.Tests.Pipeline.DensityTests

open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Quantization
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Pipeline.Stages.Density
open DQ.Tests.Fixtures
open DQ.Tests.Pipeline.Contexts
open DQ.Tests.TemporaryFolder

let private variant: Variant =
    let sets =
        [
            "data.count=60"
            "data.image_size=8"
            "model.channels=8"
            "model.residual_channels=8"
            "model.coder_blocks=1"
            "model.codes=[8,8]"
            "model.codebooks=2"
            "model.code_width=4"
            "training.steps=3"
            "training.batch_size=4"
            "training.sample_every=0"
            "training.initialization_batches=2"
        ]
        |> List.map ConfigTree.assignment
        |> List.choose Result.toOption

    match Config.ofLayers "tiny.json" sets with
    | Ok [ variant ] -> variant
    | other -> failtestf "%A" other

/// The bottom level's encodings of a tiny trained run: (8, 4, 4).
let private input root =
    let run = run (quiet root) (Pipelines.model variant) |> get

    run.Record.Parents[0],
    {
        Network = Encoder(run.Record, get (Checkpoints.choose run.Folder "last"), 0)
        Data = variant.Config.Data
        Config = {
            Images = 40
            TestImages = 100
            Codes = [| 2; 4 |]
            Seeds = 2
            Steps = 5
            BatchSize = 16
            Quantizer = QuantizerSpec()
        }
    }

let private execute context (own, subject) =
    run context (Pipelines.density (Some own) subject)

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Density" [
        test
            "a run of its own with a row for each K and way to cut; found again; a stopped one goes on to the same numbers" {
            inFolder (fun root ->
                let input = input root
                let quiet = quiet root
                let whole = execute quiet input |> get
                let density = whole.Density
                Expect.equal (density.Channels, density.Side, density.Width) (8, 4, 2) "features"

                Expect.equal
                    (density.TrainImages, density.TestImages, density.TestSplit)
                    (40, 6, "test")
                    "limited by what there is"

                Expect.equal
                    [ for row in density.Rows -> row.Slicing, row.Codes, row.Runs.Count ]
                    [ "pixel", 2, 2; "channel", 2, 2; "pixel", 4, 2; "channel", 4, 2 ]
                    "rows"

                for row in density.Rows do
                    for run in row.Runs do
                        Expect.isTrue
                            (run.EntropyNats <= log (float row.Codes) + 1e-9 && run.MeanL2Error > 0.0)
                            row.Slicing

                Expect.equal
                    (whole.Record.Kind, whole.Record.Status, whole.Record.StepsDone)
                    (RunKind.Density, RunStatus.Completed, 8L)
                    "record"

                Expect.equal (execute quiet input |> get).Folder whole.Folder "found again"

                // the same, stopped after three trainings
                let mutable trained = 0

                let stopping =
                    context
                        root
                        (fun source report ->
                            if report.Unit = "seeds" then
                                trained <- trained + 1

                                if trained = 3 then
                                    source.Cancel())
                        ignore

                match execute (forced stopping) input with
                | Error(Interrupted 15) -> ()
                | other -> failtestf "expected to be interrupted, got %A" other

                let folder, record =
                    Store.list quiet.Store
                    |> List.pick (fun run ->
                        match run.Record with
                        | Ok record when record.Status = RunStatus.Interrupted -> Some(run.Folder, record)
                        | _ -> None)

                Expect.equal record.StepsDone 3L "where it stopped"
                let left = ArtifactJson.Read<DensityRecord>(Path.Combine(folder, RunLayout.Density))
                Expect.equal [ for row in left.Rows -> row.Runs.Count ] [ 2; 1; 0; 0 ] "what it left"
                // so that the interrupted one is found
                Directory.Delete(whole.Folder, true)
                let resumed = execute quiet input |> get
                Expect.equal resumed.Folder folder "the same run"

                for one, other in Seq.zip resumed.Density.Rows density.Rows do
                    Expect.sequenceEqual one.Runs other.Runs $"{one.Slicing}, {one.Codes}")
        }

        test "what can't be estimated is refused in one line, with its exit code" {
            inFolder (fun root ->
                input root |> ignore

                let leaves = [
                    "--set"
                    "data.source=dead_leaves"
                    "--set"
                    "data.count=20"
                    "--set"
                    "data.image_size=8"
                ]

                let weights = fixture [ "pytorch"; "tensors.pt" ]

                for arguments, exitCode, said in
                    [
                        [], 2, "--run RUN or --weights FILE"
                        [ "--run"; "tiny"; "--level"; "2" ], 2, "expected 0 to 1"
                        [ "--run"; "tiny"; "--seeds"; "0" ], 2, "--seeds: expected a whole number of at least 1, got 0"
                        [ "--run"; "tiny"; "--set"; "model.channels=4" ], 2, "expected a key of data"
                        [ "--weights"; weights ], 2, "say which images"
                        [ "--weights"; weights; "--image-side"; "100" ] @ leaves, 2, "a multiple of 32"
                        [ "--weights"; weights ] @ leaves, 3, "VGG-16 without batch normalization"
                        [ "--weights"; Path.Combine(root, "none.pth") ] @ leaves,
                        3,
                        "none.pth: expected a file of weights"
                    ] do
                    let finished = Program.run ([ "density"; "--artifacts"; root ] @ arguments)
                    let errors = finished.Errors.Split '\n' |> Array.filter _.StartsWith("dq: ")
                    Expect.equal finished.ExitCode exitCode finished.Errors
                    Expect.hasLength errors 1 finished.Errors
                    Expect.stringContains errors[0] said "what is said")
        }
    ]

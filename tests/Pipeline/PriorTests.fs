/// A prior as a run: planned, trained, stopped and continued, measured, coded under and drawn from.
module DQ.Tests.Pipeline.PriorTests

open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Quantization
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Tests.Pipeline.Contexts
open DQ.Tests.TemporaryFolder

let private settings = [
    "training.steps=20"
    "training.batch_size=4"
    "training.learning_rate=2e-3"
    "training.log_every=5"
    "training.validate_every=10"
    "training.checkpoint_every=6"
    "training.sample_every=0"
    "prior.width=16"
    "prior.embedding=8"
]

let private variant sets =
    TinyRuns.variantOf (TinyRuns.model @ settings @ sets)

/// A trained and evaluated autoencoder, and a prior over its codes.
let private subject root sets : Parent * Prior.PriorSubject =
    let autoencoder =
        run (quiet root) (Pipelines.evaluated (TinyRuns.variant [ "training.steps=8" ]))
        |> get

    let record = autoencoder.Run.Record

    record.Parents[0],
    {
        Variant = variant (sets @ [ $"prior.run={record.Id}" ])
        Autoencoder = record
        Checkpoint = get (Checkpoints.choose autoencoder.Run.Folder "last")
    }

let private execute context (own, subject) =
    run context (Pipelines.prior (Some own) subject)

let private actions root (own, subject) =
    (Stage.plan (quiet root).Standing (Pipelines.prior (Some own) subject) |> get).Steps
    |> List.map _.Action

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Prior" [
        test "is a run with the rates of each prior; planned before, found again after" {
            inFolder (fun root ->
                let own, subject = subject root []
                Expect.equal (actions root (own, subject)) [ Action.Make ] "new"
                let made = execute (quiet root) (own, subject) |> get

                Expect.equal
                    (made.Record.Kind, made.Record.Status, made.Record.StepsDone)
                    (RunKind.Prior, RunStatus.Completed, 20L)
                    "record"

                Expect.contains
                    [ for parent in made.Record.Parents -> parent.Kind, parent.Id ]
                    ("run", subject.Autoencoder.Id)
                    "made from"

                Expect.equal (actions root (own, subject)) [ Action.Reuse ] "there"
                Expect.equal (execute (quiet root) (own, subject) |> get).Folder made.Folder "found again"

                let evaluation =
                    ArtifactJson.Read<EvaluationRecord>(
                        Path.Combine(root, RunLayout.Runs, subject.Autoencoder.Id, RunLayout.Evaluation)
                    )

                for name in [ "validation"; "test" ] do
                    let rates, known = made.Prior.Splits[name], evaluation.Splits[name]
                    Expect.equal rates.Images known.Images "images"
                    Expect.equal rates.CodeRateUniformBitsPerDim known.CodeRateUniformBitsPerDim "uniform"

                    Expect.floatClose
                        Accuracy.high
                        rates.CodeRateStaticBitsPerDim
                        known.CodeRateEmpiricalBitsPerDim
                        "static is the evaluation's empirical"

                    Expect.floatClose
                        { absolute = 0.0; relative = 5e-3 }
                        rates.CodeRateNetworkBitsPerDim
                        rates.CodeRateNetworkFloatBitsPerDim
                        "integers"

                    let sum (bits: CodebookPrior -> float) =
                        Seq.sum [
                            for level in rates.Levels do
                                for book in level.Codebooks -> float (level.GridHeight * level.GridWidth) * bits book
                        ]
                        / float rates.DimensionsPerImage

                    for total, bits in
                        [
                            rates.CodeRateUniformBitsPerDim, (fun (book: CodebookPrior) -> book.UniformBitsPerCode)
                            rates.CodeRateStaticBitsPerDim, _.StaticBitsPerCode
                            rates.CodeRateNetworkBitsPerDim, _.NetworkBitsPerCode
                            rates.CodeRateNetworkFloatBitsPerDim, _.NetworkFloatBitsPerCode
                        ] do
                        Expect.floatClose Accuracy.high (sum bits) total "codebooks sum to the whole"

                let lines =
                    File.ReadAllLines(TinyRuns.metrics made.Folder)
                    |> Array.map (fun line ->
                        System.Text.Json.JsonSerializer.Deserialize<MetricsRecord>(line, ArtifactJson.Options)
                        |> nonNull)

                let bits = [
                    for line in lines do
                        if line.Split = "validation" then
                            CodeRate.NatsToBits line.CrossEntropyNats.Value
                ]

                Expect.hasLength bits 2 "validations"
                Expect.isLessThan bits[1] 3.01 "no more than codes of equal length"
                Expect.isLessThan bits[1] bits[0] "it learns")
        }

        test "depends on its settings, the autoencoder and what is evaluated; not on the autoencoder's name" {
            inFolder (fun root ->
                let own, subject = subject root []
                execute (quiet root) (own, subject) |> get |> ignore

                let under sets = {
                    subject with
                        Variant = variant (sets @ [ $"prior.run={subject.Autoencoder.Id}" ])
                }

                for sets in
                    [
                        [ "prior.width=17" ]
                        [ "prior.radius=1" ]
                        [ "training.steps=21" ]
                        [ "seed=1" ]
                        [ "evaluation.limit=3" ]
                    ] do
                    Expect.equal (actions root (own, under sets)) [ Action.Make ] $"%A{sets}"

                let renamed = {
                    subject with
                        Variant = variant [ "prior.run=tiny" ]
                }

                Expect.equal (actions root (own, renamed)) [ Action.Reuse ] "the same run under another name"

                let later = {
                    subject with
                        Autoencoder = DQ.Tests.Fixtures.altered subject.Autoencoder [ "StepsDone", box 9L ]
                }

                Expect.equal (actions root (own, later)) [ Action.Make ] "the autoencoder after more steps")
        }

        test "stopped, it goes on to the same weights and rates" {
            inFolder (fun root ->
                let input = subject root []
                let whole = execute (quiet root) input |> get

                match execute (forced (cancelledAt root (Some 9L))) input with
                | Error(Interrupted 15) -> ()
                | other -> failtestf "expected to be interrupted, got %A" other

                // so that the interrupted one is found
                let weights = File.ReadAllBytes(Checkpoints.weights whole.Folder 20L)
                let lines = File.ReadAllLines(TinyRuns.metrics whole.Folder).Length
                let rates = File.ReadAllText(Path.Combine(whole.Folder, RunLayout.Prior))
                Directory.Delete(whole.Folder, true)
                Expect.equal (actions root input) [ Action.Continue ] "planned"
                let resumed = execute (quiet root) input |> get
                Expect.notEqual resumed.Folder whole.Folder "another folder"
                Expect.equal (List.ofSeq resumed.Record.ResumedAtSteps) [ 9L ] "went on"
                Expect.equal (File.ReadAllBytes(Checkpoints.weights resumed.Folder 20L)) weights "the same bytes"
                Expect.equal (File.ReadAllLines(TinyRuns.metrics resumed.Folder).Length) lines "the same lines"
                Expect.equal resumed.Prior.Fingerprint whole.Prior.Fingerprint "the same integers"

                Expect.equal (File.ReadAllText(Path.Combine(resumed.Folder, RunLayout.Prior))) rates "the same rates")
        }

        test "without its numbers a run is not whole: it is measured again, not trained" {
            inFolder (fun root ->
                let input = subject root []
                let made = execute (quiet root) input |> get
                let file = Path.Combine(made.Folder, RunLayout.Prior)
                let before = File.ReadAllText file
                File.Delete file
                Expect.equal (actions root input) [ Action.Continue ] "planned"
                let again = execute (quiet root) input |> get
                Expect.equal again.Folder made.Folder "the same run"
                Expect.equal (File.ReadAllText file) before "the same numbers")
        }

        test "opens for coding, and only with its own autoencoder" {
            inFolder (fun root ->
                let input = subject root []
                let made = execute (quiet root) input |> get
                let opened = Prior.open' made.Folder made.Record |> get
                Expect.equal opened.Frozen.Fingerprint made.Prior.Fingerprint "the integers it was measured with"

                let model (file: string) =
                    use checkpoint = DQ.Core.Training.Checkpoint.Open file
                    checkpoint.Model()

                use right = model (snd input).Checkpoint
                Prior.ofModel opened right |> get

                let other =
                    run (quiet root) (Pipelines.model (TinyRuns.variant [ "seed=5"; "training.steps=2" ]))
                    |> get

                use wrong = model (get (Checkpoints.choose other.Folder "last"))

                match Prior.ofModel opened wrong, Prior.open' other.Folder other.Record with
                | Error(Data one), Error(Data two) ->
                    Expect.stringContains one "is a prior over the codes of model" "another model"
                    Expect.stringContains two "expected a completed run of dq prior" "no prior"
                | both -> failtestf "%A" both)
        }

        test "what can't be trained or drawn is refused in one line, with its exit code" {
            inFolder (fun root ->
                let input = subject root []
                let id = (snd input).Autoencoder.Id
                let made = execute (quiet root) input |> get

                for arguments, exitCode, said in
                    [
                        [ "prior"; "nobody" ], 3, "nobody"
                        [ "prior"; made.Record.Id ], 3, "expected a completed run of an autoencoder (prior.run)"
                        [ "prior"; Path.Combine(root, "none.json") ], 2, "none.json"
                        [ "prior"; id; "--set"; "prior.width=0" ], 2, "prior.width: expected an integer from 1 to 4096"
                        [ "prior"; id; "--set"; "training.start_from=x" ], 2, "training.start_from: expected null"
                        [ "prior"; id; "--set"; "training.precision=bfloat16" ],
                        2,
                        "training.precision: expected float32"
                        [ "prior"; id; "--set"; "training.batch_size=4000" ], 2, "training.batch_size"
                        [ "train"; made.Record.Id; "--steps"; "40" ], 2, "is a prior: dq prior trains one"
                        [ "evaluate"; made.Record.Id ], 3, "found one of dq prior"
                        [ "sample"; id; "-o"; "x.png" ], 3, "expected a completed run of dq prior"
                        [ "sample"; made.Record.Id; "-o"; "x.png"; "--count"; "0" ], 2, "--count: expected"
                        [ "sample"; made.Record.Id; "-o"; "x.png"; "--temperature"; "0" ], 2, "--temperature: expected"
                        [ "sample"; made.Record.Id; "-o"; "x.png"; "--pixels"; "none" ], 2, "expected mean or sample"
                    ] do
                    let finished = Program.run (arguments @ [ "--artifacts"; root ])
                    let errors = finished.Errors.Split '\n' |> Array.filter _.StartsWith("dq: ")
                    Expect.equal finished.ExitCode exitCode finished.Errors
                    Expect.hasLength errors 1 finished.Errors
                    Expect.stringContains errors[0] said "what is said"
                    Expect.isFalse (File.Exists "x.png") "nothing written")
        }
    ]

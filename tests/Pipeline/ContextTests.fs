/// A model without levels, from a configuration to its numbers.
module DQ.Tests.Pipeline.ContextTests

open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Likelihoods
open DQ.Core.Likelihoods.Context
open DQ.Pipeline.Configuration
open DQ.Tests.Pipeline.Program
open DQ.Tests.TemporaryFolder

let private config folder =
    let file = Path.Combine(folder, "tiny.json")

    File.WriteAllText(
        file,
        """{ "data": { "count": 60, "image_size": 13 },
             "model": { "codes": [], "likelihood": { "context": "local" }, "context": { "width": 12, "mixtures": 2, "radius": 2 } },
             "training": { "steps": 30, "batch_size": 8, "pixels_per_step": 200, "learning_rate": 1e-2, "second_moment": 0.99,
                           "log_every": 10, "validate_every": 10, "checkpoint_every": 10 } }"""
    )

    file

let private succeed arguments =
    let finished = run arguments
    Expect.equal finished.ExitCode 0 finished.Errors
    finished

let private onlyRun artifacts =
    Expect.wantSome
        (Directory.GetDirectories(Path.Combine(artifacts, RunLayout.Runs))
         |> Seq.tryExactlyOne)
        "one run"

let private problems (text: string) =
    inFolder (fun folder ->
        let file = Path.Combine(folder, "c.json")
        File.WriteAllText(file, text)

        match Config.load file [] with
        | Error(DQ.Pipeline.Configuration problems) -> [ for problem in problems -> problem.Key, problem.Message ]
        | other -> failtest $"expected problems, got {other}")

[<Tests>]
let tests =
    testList "Pipeline.Context" [
        test "is planned, trained and evaluated: its reconstruction is all it costs" {
            inFolder (fun folder ->
                let file, artifacts = config folder, Path.Combine(folder, "artifacts")
                let arguments = [ file; "--artifacts"; artifacts ]
                succeed ("plan" :: arguments) |> ignore
                let shown = succeed ("run" :: arguments)
                Expect.stringContains shown.Output "total empirical, bits/dim" "table"
                let found = onlyRun artifacts

                let evaluation =
                    ArtifactJson.Read<EvaluationRecord>(Path.Combine(found, RunLayout.Evaluation))

                let split = evaluation.Splits["test"]
                Expect.isGreaterThan split.ReconstructionBitsPerDim.Value 0.0 "bits"
                Expect.equal split.TotalEmpiricalBitsPerDim split.ReconstructionBitsPerDim "no codes to pay for"
                Expect.equal split.CodeRateUniformBitsPerDim 0.0 "no code rate"
                Expect.isEmpty split.Levels "no levels"
                Expect.isFalse split.PsnrDb.HasValue "nothing is reconstructed"
                Expect.equal split.DimensionsPerImage (3L * 13L * 13L) "dimensions"

                succeed ("run" :: arguments) |> ignore
                Expect.equal (onlyRun artifacts) found "found again"

                succeed [ "runs"; "show"; nonNull (Path.GetFileName found); "--artifacts"; artifacts ]
                |> ignore

                let refused =
                    run [
                        "export"
                        nonNull (Path.GetFileName found)
                        "-o"
                        Path.Combine(folder, "x.safetensors")
                        "--names"
                        "reference"
                        "--artifacts"
                        artifacts
                    ]

                Expect.equal refused.ExitCode 3 (refused.Output + refused.Errors)

                Expect.stringContains
                    refused.Errors
                    "a context head is exported in integers; expected --names ours"
                    "one line")
        }

        test "what a context asks for, by key" {
            Expect.equal
                (problems """{ "model": { "codes": [] } }""")
                [
                    "model.codes", "expected 1 to 8 levels, got 0; without levels model.likelihood.context is needed"
                ]
                "no levels and no context"

            Expect.equal
                (problems
                    """{ "model": { "codes": [], "likelihood": { "context": "global" }, "context": { "radius": 1 } },
                         "training": { "pixels_per_step": 3, "freeze": ["decoder"] } }""")
                [
                    "model.likelihood.context", "expected one of none, local, got 'global'"
                    "model.context.radius", "expected an integer from 2 to 8, got 1"
                    "training.pixels_per_step", "expected at least one for each of training.batch_size 32 images, got 3"
                    "training.freeze", "expected an empty list: a context head is trained as a whole"
                ]
                "values"
        }

        test "without a context, configurations and specs say nothing of one" {
            let said = Config.canonical { Settings.defaults with Name = "x" }

            for key in [ "context"; "auxiliary_weight"; "pixels_per_step"; "second_moment" ] do
                Expect.isFalse (said.Contains key) key
                Expect.isFalse ((SpecJson.Write(AutoencoderSpec())).Contains key) key

            let spec =
                AutoencoderSpec(
                    Likelihood = LikelihoodSpec(Context = "local", AuxiliaryWeight = 0.2),
                    Context = ContextSpec(Radius = 2, Width = 100, ContrastFloor = 0.006)
                )

            let read = SpecJson.Read(SpecJson.Write spec, "here")
            Expect.equal read.Likelihood spec.Likelihood "with one, both ways"
            Expect.equal read.Context spec.Context "with one, both ways"
        }
    ]

/// Weights and codes in and out of the program.
module DQ.Tests.Pipeline.TransferTests

open System
open System.IO
open System.Text.Json.Nodes
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Core.Published
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Tests.Fixtures
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program

let private published = fixture [ "pytorch"; "published-checkpoint.pt" ]

let private errorLines (finished: Finished) =
    finished.Errors.Split('\n') |> Array.filter _.StartsWith("dq: ")

let private succeeded (finished: Finished) =
    Expect.equal finished.ExitCode 0 finished.Errors
    finished

let private refused exitCode expected (finished: Finished) =
    Expect.equal finished.ExitCode exitCode finished.Errors
    let lines = errorLines finished
    Expect.hasLength lines 1 finished.Errors
    Expect.stringContains lines[0] expected "why"

let private json (finished: Finished) =
    nonNull (JsonNode.Parse finished.Output)

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Transfer" [
        test "a published checkpoint is imported, evaluated on images it is given, exported, encodes and decodes" {
            inFolder (fun folder ->
                let dq arguments =
                    run (arguments @ [ "--artifacts"; Path.Combine(folder, "artifacts") ])

                let imported =
                    dq [ "import"; published; "--name"; "theirs"; "--json" ] |> succeeded |> json

                let record =
                    ArtifactJson.Read<RunRecord>(Path.Combine(string (nonNull imported["folder"]), RunLayout.Run))

                Expect.equal
                    (record.Kind, record.Status, record.StepsDone)
                    (RunKind.Import, RunStatus.Completed, 2L)
                    "run.json says so"

                let parent = Seq.exactlyOne record.Parents
                Expect.equal (parent.Kind, parent.Id) ("file", "published-checkpoint.pt") "its source"
                Expect.hasLength parent.Fingerprint 64 "SHA-256"

                dq [ "evaluate"; "theirs" ] |> refused 2 "no images of its own"

                let evaluated =
                    dq [
                        "evaluate"
                        "theirs"
                        "--set"
                        "data.source=dead_leaves"
                        "--set"
                        "data.count=40"
                        "--set"
                        "data.image_size=8"
                        "--json"
                    ]
                    |> succeeded
                    |> json

                let evaluation = (nonNull (nonNull evaluated["runs"]).[0]).["evaluation"] |> nonNull
                let test = (nonNull evaluation["splits"]).["test"] |> nonNull
                Expect.isGreaterThan (float (nonNull test["normalized_squared_error"])) 0.0 "its loss"
                Expect.stringStarts (string (nonNull evaluation["dataset"])) "dead_leaves-" "on what"

                let exported = Path.Combine(folder, "theirs.safetensors")

                dq [ "export"; "theirs"; "-o"; exported; "--names"; "reference" ]
                |> succeeded
                |> ignore

                use source = WeightsSource.Open exported
                Expect.equal source.Steps 2L "its steps"

                let picture (name: string) height width =
                    let file = Path.Combine(folder, name)

                    let pixels =
                        PixelImage(
                            Array.init (3 * height * width) (fun place -> byte (place * 7 % 251)),
                            3,
                            height,
                            width
                        )

                    File.WriteAllBytes(file, ImageFile.EncodePng pixels)
                    file

                let pictures = [ picture "a.b.png" 13 21; picture "c.png" 8 8 ]
                let codes = Path.Combine(folder, "codes.dqc")

                let encoded =
                    dq ([ "encode" ] @ pictures @ [ "--run"; "theirs"; "-o"; codes; "--json" ])
                    |> succeeded
                    |> json
                // one level of 2 codebooks of 2 bits: grids of 7 × 11 and 4 × 4
                Expect.equal (int (nonNull encoded["code_bytes"])) ((2 * 2 * 77 + 7) / 8 + 2 * 2 * 16 / 8) "packed"

                let decoded, reconstructed =
                    Path.Combine(folder, "decoded"), Path.Combine(folder, "reconstructed")

                dq [ "decode"; codes; "-o"; decoded ] |> succeeded |> ignore

                dq ([ "reconstruct" ] @ pictures @ [ "--run"; "theirs"; "-o"; reconstructed ])
                |> succeeded
                |> ignore

                for name in [ "a.b.reconstruction.png"; "c.reconstruction.png" ] do
                    let bytes place =
                        File.ReadAllBytes(Path.Combine(place, name))

                    Expect.equal (bytes decoded) (bytes reconstructed) name

                let whole = File.ReadAllBytes codes
                File.WriteAllBytes(codes, whole[.. whole.Length - 2])
                dq [ "decode"; codes; "-o"; decoded ] |> refused 3 "cut short")
        }

        test "an INI configuration becomes one of ours, and what it says for nothing is noted" {
            inFolder (fun folder ->
                let ini = Path.Combine(folder, "dq.config")

                File.WriteAllLines(
                    ini,
                    [
                        "[train]"
                        "dataset = cifar10"
                        "epochs = 2"
                        "batch_size = 100"
                        "nosuch = 1"
                        "[model]"
                        "n_hier = [128,64]"
                    ]
                )

                let published = PublishedConfig.Read ini
                let tree, notes = Published.ofConfig published
                Expect.exists published.Notes _.StartsWith("train.nosuch") "unknown keys"
                Expect.hasLength notes 1 "what is known of its training"
                let file = Path.Combine(folder, "ours.json")
                File.WriteAllText(file, tree.ToJsonString())

                match Config.load file [ $"data.path={folder}" ] with
                | Ok [ { Config = config } ] ->
                    Expect.sequenceEqual config.Model.CodeCounts [ 128; 64 ] "said"
                    Expect.equal (config.Name, config.Data.Source) ("ours", SourceKind.Cifar10) "name and data"
                    Expect.equal config.Model.Quantizer.Revival "published" "their rules"
                    Expect.equal config.Training.Steps 1000L "two epochs of 50,000 images"
                | other -> failtest $"{other}")
        }

        test "a folder's images and unknown numbers of them" {
            inFolder (fun folder ->
                let ini = Path.Combine(folder, "dq.config")

                File.WriteAllLines(
                    ini,
                    [
                        "[train]"
                        $"dataset = {folder}"
                        "image_size = 16"
                        "[model]"
                        "in_channel = 1"
                    ]
                )

                let tree, notes = Published.ofConfig (PublishedConfig.Read ini)
                Expect.exists notes _.StartsWith("train.epochs") "the steps are not known"

                let config =
                    Config.ofTree (ConfigTree.mergeObjects (Settings.toTree Settings.defaults) tree)

                Expect.equal (config.Data.Source, config.Data.Path) (SourceKind.Folder, folder) "its images"
                Expect.equal (config.Data.ImageSize, config.Data.ImageChannels) (Some 16, Some 1) "their shape")
        }
    ]

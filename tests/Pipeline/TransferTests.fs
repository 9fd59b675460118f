/// Weights and codes in and out of the program.
module DQ.Tests.Pipeline.TransferTests

open System
open System.IO
open System.Text.Json.Nodes
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Core.Training
open DQ.Core.Weights
open DQ.Pipeline
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
        test "a published checkpoint is imported, evaluated on images it is given, exported and imported again" {
            inFolder (fun folder ->
                let dq arguments =
                    run (arguments @ [ "--artifacts"; Path.Combine(folder, "artifacts") ])

                let imported =
                    dq [ "import"; published; "--name"; "theirs"; "--json" ] |> succeeded |> json

                let record =
                    ArtifactJson.Read<RunRecord>(Path.Combine(string (nonNull imported["folder"]), RunLayout.Run))

                Expect.equal
                    (record.Stage, record.Status, record.StepsDone)
                    ("import", RunStatus.Completed, 2L)
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

                let split = (nonNull (nonNull evaluated["runs"]).[0]).["evaluation"] |> nonNull
                let test = (nonNull split["splits"]).["test"] |> nonNull
                Expect.isGreaterThan (float (nonNull test["normalized_squared_error"])) 0.0 "its loss"

                let exported = Path.Combine(folder, "theirs.safetensors")

                dq [ "export"; "theirs"; "-o"; exported; "--names"; "reference" ]
                |> succeeded
                |> ignore

                let again = dq [ "import"; exported; "--json" ] |> succeeded |> json

                let tensors (run: JsonNode) =
                    use checkpoint =
                        Checkpoint.Open(Checkpoints.weights (string (nonNull run["folder"])) 2L)

                    use model = checkpoint.Model()

                    Map [
                        for KeyValue(name, tensor) in model.state_dict () -> name, tensor.bytes.ToArray()
                    ]

                Expect.equal (tensors again) (tensors imported) "the same tensors"

                dq [ "import"; fixture [ "pytorch"; "nested.pt" ] ]
                |> refused 2 "--config INI or --spec CONFIG")
        }

        test "an INI configuration is printed as one of ours, and what it says for nothing is noted" {
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

                let printed =
                    run [ "import"; "--config"; ini; "--set"; "model.channels=64" ] |> succeeded

                Expect.stringContains printed.Errors "train.nosuch" "unknown keys"
                let tree = json printed

                let key (path: string) =
                    path.Split '.'
                    |> Array.fold (fun (node: JsonNode) key -> nonNull node[key]) tree

                Expect.equal ((key "model.codes").ToJsonString()) "[128,64]" "said"
                Expect.equal (string (key "model.quantizer.revival")) "published" "their rules"
                Expect.equal (int (key "model.channels")) 64 "--set"
                Expect.equal (string (key "data.source")) "cifar10" "data"
                Expect.equal (int (key "training.steps")) 1000 "two epochs of 50,000 images"
                // and it is a configuration
                let file = Path.Combine(folder, "ours.json")
                File.WriteAllText(file, printed.Output)

                match Config.load file [ $"data.path={folder}" ] with
                | Ok [ variant ] -> Expect.equal variant.Config.Name "dq" "its name"
                | other -> failtest $"{other}")
        }

        test "pictures to codes and back are what reconstruct makes; other models' codes are refused" {
            inFolder (fun folder ->
                let dq arguments =
                    run (arguments @ [ "--artifacts"; Path.Combine(folder, "artifacts") ])

                dq [ "import"; published; "--name"; "theirs" ] |> succeeded |> ignore

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

                let ours = Path.Combine(folder, "ours.json")

                File.WriteAllText(
                    ours,
                    """{ "model": { "channels": 4, "residual_channels": 2, "coder_blocks": 1, "codes": [4], "codebooks": 2, "code_width": 2 } }"""
                )

                use other =
                    new DQ.Core.Autoencoders.HierarchicalAutoencoder(
                        (match Config.load ours [] with
                         | Ok variants -> variants.Head.Config.Model
                         | Error error -> failtest $"{error}")
                    )

                let checkpoint = Path.Combine(folder, "other.safetensors")
                Checkpoint.Write(checkpoint, other, null, TrainingProgress(0L, 0L, 0L, true, 1.0, 0L))

                dq [ "decode"; codes; "--checkpoint"; checkpoint; "-o"; decoded ]
                |> refused 3 "its codes are those of model"

                let whole = File.ReadAllBytes codes
                File.WriteAllBytes(codes, whole[.. whole.Length - 2])
                dq [ "decode"; codes; "-o"; decoded ] |> refused 3 "cut short")
        }
    ]

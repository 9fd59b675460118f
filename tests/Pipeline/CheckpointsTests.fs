module DQ.Tests.Pipeline.CheckpointsTests

open System
open System.IO
open System.Text.Json.Nodes
open Expecto
open TorchSharp
open DQ.Core.Artifacts
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Training
open DQ.Tests.Autoencoders.HierarchicalAutoencoderTests
open DQ.Tests.TemporaryFolder
open DQ.Tests.Sessions

let private loop = {
    Settings.defaults.Loop with
        CheckpointEvery = 10L
}

let private regular = LoopState.isRegular loop 1000L

let private session = lazy (ofAutoencoder (tiny, TrainingSpec(), 0L, torch.CPU))

let private state (step: int64) (best: int64) = {
    LoopState.start tiny.Levels tiny.Codebooks with
        Step = step
        BestStep = Some best
}

let private names folder =
    Directory.GetFiles(Path.Combine(folder, RunLayout.Checkpoints))
    |> Array.map (fun file -> nonNull (Path.GetFileName file))
    |> Array.sort
    |> List.ofArray

/// The files of checkpoints at these steps and of a best one.
let private expected (steps: int64 list) (best: int64) =
    List.sort [
        $"best-{best:D8}.safetensors"
        for step in steps do
            $"step-{step:D8}.json"
            $"step-{step:D8}.safetensors"
    ]

/// As after a validation that was the best, at the step the session stands at.
let private putBest folder step =
    Checkpoints.saveBest folder session.Value
    let made = Path.Combine(folder, RunLayout.Checkpoints, "best-00000000.safetensors")
    File.Move(made, made.Replace("00000000", $"{step:D8}"), true)

[<Tests>]
let tests =
    testList "Pipeline.Checkpoints" [
        test "the state of a checkpoint of the first version is read: of its window nobody knows the idle codes" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "step-00000010.json")
                ArtifactJson.Write(file, state 10L 9L)
                let earlier = nonNull (JsonNode.Parse(File.ReadAllText file))
                earlier["schema"] <- 1
                (nonNull earlier["window"]).AsObject().Remove "idle" |> ignore
                File.WriteAllText(file, earlier.ToJsonString())
                Expect.equal (ArtifactJson.Read<LoopState> file) (state 10L 9L) "as one of today"
                earlier["schema"] <- 4
                File.WriteAllText(file, earlier.ToJsonString())

                Expect.throwsC (fun () -> ArtifactJson.Read<LoopState> file |> ignore) (fun problem ->
                    Expect.stringContains problem.Message "schema version 4 is unknown" "a later one"))
        }

        test "one made because a run was stopped stays until the next, and costs no regular one its place" {
            inFolder (fun folder ->
                let save keep step =
                    Checkpoints.save folder keep regular session.Value (state step 9L)

                Directory.CreateDirectory(Path.Combine(folder, RunLayout.Checkpoints)) |> ignore
                putBest folder 9
                List.iter (save 2) [ 10L; 20L; 30L; 33L; 35L ]
                Expect.equal (names folder) (expected [ 20L; 30L; 35L ] 9L) "beside two"
                Expect.equal (Checkpoints.latest folder).Value.Step 35L "to go on from"
                Expect.equal (Checkpoints.latestWhere folder regular).Value.Step 30L "to go back to"
                save 2 40L
                Expect.equal (names folder) (expected [ 30L; 40L ] 9L) "as if it had never been stopped"
                save 1 45L
                Expect.equal (names folder) (expected [ 40L; 45L ] 9L) "one and the last")
        }

        test "a checkpoint is there with its state, and what lies there without one goes with the next" {
            inFolder (fun folder ->
                Checkpoints.save folder 2 regular session.Value (state 10L 10L)
                putBest folder 10
                File.WriteAllText(Checkpoints.weights folder 20L, "torn")
                Expect.equal (Checkpoints.latest folder).Value.Step 10L "the one before"
                Checkpoints.save folder 2 regular session.Value (state 30L 10L)
                Expect.equal (names folder) (expected [ 10L; 30L ] 10L) "no torn one")
        }

        test "a checkpoint that can't be read is an unusable artifact, said in one line" {
            inFolder (fun folder ->
                Checkpoints.save folder 2 regular session.Value (state 10L 9L)
                let checkpoints = Path.Combine(folder, RunLayout.Checkpoints)
                let weights = Checkpoints.weights folder 10L
                let state = Path.ChangeExtension(weights, ".json") |> nonNull

                let read which =
                    try
                        Checkpoints.choose folder which
                        |> Result.map (fun file -> (Checkpoint.Open file).Dispose())
                    with error ->
                        match Stage.expected (fun () -> Interrupted 2) error with
                        | Some expected -> Error expected
                        | None -> failtestf "%A" error

                let refused what which =
                    match read which with
                    | Ok() -> failtestf "%s: expected a refusal" what
                    | Error error ->
                        Expect.equal (StageError.exitCode error) 3 what
                        let line = List.exactlyOne (StageError.lines error)
                        Expect.stringContains line checkpoints what
                        Expect.isFalse (line.Contains '\n') what

                refused "no best" "best"
                File.Delete weights
                refused "no tensors" "last"
                Directory.CreateDirectory weights |> ignore
                refused "a folder in the place of tensors" "last"
                File.Delete state
                refused "no state" "last"
                Directory.CreateDirectory state |> ignore
                refused "a folder in the place of a state" "last"
                Directory.Delete(checkpoints, true)
                File.WriteAllText(checkpoints, "")
                refused "a file in the place of the folder" "last")
        }

        test "after going back, the best is the best of then" {
            inFolder (fun folder ->
                putBest folder 8
                Checkpoints.save folder 2 regular session.Value (state 10L 8L)
                putBest folder 12
                Checkpoints.save folder 2 regular session.Value (state 20L 12L)
                putBest folder 23
                Checkpoints.save folder 2 regular session.Value (state 25L 23L)

                Checkpoints.goBack folder { state 10L 8L with Fallbacks = 1 }

                let latest = (Checkpoints.latest folder).Value
                Expect.equal (latest.Step, latest.Fallbacks) (10L, 1) "back there"
                let best = (Checkpoints.best folder).Value
                Expect.stringEnds best "best-00000008.safetensors" "the best of then"
                Expect.isTrue (File.Exists best) "which is still there"

                match Checkpoints.choose folder "best" with
                | Ok file -> Expect.equal file best "what an evaluation gets"
                | Error error -> failtestf "%A" error

                Checkpoints.save folder 2 regular session.Value (state 20L 8L)
                Expect.equal (names folder) (expected [ 10L; 20L ] 8L) "those of steps undone are gone")
        }

        test "training goes on from the newest checkpoint that is whole, whatever happened to the later ones" {
            use session = ofAutoencoder (tiny, TrainingSpec(), 0L, torch.CPU)

            use pixels =
                torch.zeros ([| 2L; int64 tiny.ImageChannels; 16L; 16L |], dtype = torch.uint8)

            session.InitializeCodebooks [| pixels |]

            inFolder (fun folder ->
                for _ in 1..3 do
                    session.Step pixels |> ignore
                    Checkpoints.add folder session.Save (state session.StepsDone 1L)

                let weights, stateFile =
                    Checkpoints.weights folder 3L,
                    Checkpoints.weights folder 3L |> fun file -> file.Replace("safetensors", "json")

                let whole = File.ReadAllBytes weights
                let wholeState = File.ReadAllBytes stateFile
                let newest () = Checkpoints.newestWhole folder

                let restore () =
                    File.WriteAllBytes(weights, whole)
                    File.WriteAllBytes(stateFile, wholeState)

                Expect.equal (newest ()) (Some(state 3L 1L), []) "undamaged"

                let damaged what =
                    match newest () with
                    | Some found, [ problem ] ->
                        Expect.equal found.Step 2L what
                        Expect.stringContains problem "step-00000003" what
                    | other -> failtestf "%s: %A" what other

                    restore ()

                let changed (content: byte[]) at =
                    let copy = Array.copy content
                    copy[at] <- copy[at] ^^^ 4uy
                    copy

                for at in [ 0; 9; 40; whole.Length / 2; whole.Length - 1 ] do
                    File.WriteAllBytes(weights, changed whole at)
                    damaged $"byte {at} of {whole.Length} changed"

                for length in [ 0; 5; whole.Length / 2; whole.Length - 1 ] do
                    File.WriteAllBytes(weights, whole[.. length - 1])
                    damaged $"truncated to {length}"

                File.WriteAllBytes(weights, File.ReadAllBytes(Checkpoints.weights folder 1L))
                damaged "those of another step"
                File.Delete weights
                damaged "deleted"
                let step = Text.Encoding.UTF8.GetString(wholeState).IndexOf "\"images_seen\": 0"
                File.WriteAllText(stateFile, Text.Encoding.UTF8.GetString(wholeState).Insert(step + 15, "7"))
                damaged "a digit of the state"
                File.WriteAllBytes(stateFile, wholeState[..50])
                damaged "a torn state"
                File.Delete weights
                Checkpoints.dropAfter folder 2L
                Expect.equal (newest ()) (Some(state 2L 1L), []) "the damaged one is gone"

                // written before there were checksums
                let bare = Checkpoints.weights folder 2L

                (use checkpoint = Checkpoint.Open bare
                 use model = checkpoint.Model()
                 use file = DQ.Core.Formats.SafeTensorsFile.Open bare
                 Expect.isTrue (file.Metadata.ContainsKey DQ.Core.Formats.SafeTensorsFile.ChecksumKey) "has one"

                 let metadata =
                     file.Metadata
                     |> Seq.filter (fun entry -> entry.Key <> DQ.Core.Formats.SafeTensorsFile.ChecksumKey)
                     |> Collections.Generic.Dictionary

                 let tensors = [
                     for entry in file.Entries -> Collections.Generic.KeyValuePair(entry.Name, file.Read entry.Name)
                 ]

                 DQ.Core.Formats.SafeTensorsFile.Write(bare + ".old", tensors, metadata))

                File.Move(bare + ".old", bare, true)
                let stateOf2 = bare.Replace("safetensors", "json")
                let earlier = nonNull (JsonNode.Parse(File.ReadAllText stateOf2))
                earlier["schema"] <- 2
                earlier.AsObject().Remove "checksum" |> ignore
                File.WriteAllText(stateOf2, earlier.ToJsonString())
                Expect.equal (newest ()) (Some(state 2L 1L), []) "read as before"

                for file in Directory.GetFiles(Path.Combine(folder, RunLayout.Checkpoints), "*.safetensors") do
                    File.WriteAllText(file, "")

                match newest () with
                | None, problems -> Expect.hasLength problems 2 "none is whole"
                | other -> failtestf "%A" other)
        }
    ]

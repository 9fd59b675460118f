module DQ.Tests.Pipeline.AllocateTests

open System
open System.IO
open System.Text.Json
open System.Threading
open Expecto
open DQ.Core.Artifacts
open DQ.Core.BitAllocation
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Allocation
open DQ.Tests.Fixtures
open DQ.Tests.Pipeline.Contexts
open DQ.Tests.TemporaryFolder

/// A tiny classifier of dead leaves in two made-up classes, and allocations for what is between its blocks.
let private configuration =
    """{
  "data": { "source": "folder", "path": "PATH", "image_size": 16, "validation": 0.1, "test": 0.2 },
  "model": { "stride": 2, "coder_blocks": 2, "channels": 8, "residual_blocks": 1, "residual_channels": 4, "codes": [16] },
  "classification": { "mode": "one_stage", "quantized": "none" },
  "training": { "steps": 3, "batch_size": 8 }
}"""

let private allocation =
    """{
  "allocation": {
    "network": "run", "run": "tiny", "layer": "backbone.blocks.0",
    "calibration_images": 8, "test_images": 10, "batch_size": 4, "average_bits": [3, 1, 2, 4], "reserve": 3, "move_rounds": 3,
    "small_case_channels": 3, "small_case_bits": 2, "online_images": 2, "online_bits": 2
  }
}"""

/// Images in two class folders.
let private pictures root =
    let folder = Path.Combine(root, "pictures")

    for index in 0..59 do
        let name = if index % 2 = 0 then "even" else "odd"
        let place = Path.Combine(folder, name)
        Directory.CreateDirectory place |> ignore
        let bytes = DQ.Core.Images.DeadLeaves.Generate(0L, int64 index, 16)

        DQ.Core.Images.ImageFile.WritePng(
            Path.Combine(place, $"{index}.png"),
            DQ.Core.Images.PixelImage(bytes, 3, 16, 16)
        )

    folder

/// The classifier, trained.
let private trained root =
    let file = Path.Combine(root, "tiny.json")
    File.WriteAllText(file, configuration.Replace("PATH", (pictures root).Replace("\\", "/")))

    match Config.loadClassifiers file [] with
    | Ok [ variant ] -> run (quiet root) (Pipelines.evaluated variant) |> get
    | other -> failtestf "%A" other

let private input root =
    let run = (trained root).Run

    let config =
        match ConfigTree.parse allocation with
        | Ok tree ->
            AllocationConfig.read "file" [
                {
                    File = "file"
                    Prefix = ""
                    Tree = tree
                }
            ]
            |> get
        | Error message -> failtest message

    let subject: CutNetwork.Subject = {
        Name = "bits"
        Source = CutNetwork.Trained(run.Record, get (Checkpoints.choose run.Folder "last"))
        Data = Settings.defaults.Data
        Config = config
        Seed = 3L
        ConfigFile = "file"
    }

    Some run.Record.Parents[0], subject

let private execute context (own, subject) =
    run context (Pipelines.allocation own subject (Intervals.stage subject |> Stage.map _.Table))

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Allocate" [
        test
            "points of all methods, a small case, images of their own; found again; a stopped one goes on to the same numbers" {
            inFolder (fun root ->
                let input = input root
                let whole = execute (quiet root) input |> get
                let record = whole.Allocation

                Expect.equal
                    (record.Channels, record.Height, record.Width, record.CalibrationImages, record.TestImages)
                    (8, 8, 8, 8, 10)
                    "sizes"

                Expect.equal
                    [ for point in record.Points -> point.AverageBits, point.Method ]
                    [
                        for bits in [ 1.0; 2.0; 3.0; 4.0 ] do
                            for name in AllocationMethods.Names -> bits, name
                    ]
                    "points, ascending"

                for point in record.Points do
                    Expect.equal (Seq.sum point.Bits) (int (8.0 * point.AverageBits)) point.Method
                    Expect.isTrue point.Test.Accuracy.HasValue "labels"
                    Expect.isLessThanOrEqual point.Test.EntropyCodedBitsPerValue 8.0 point.Method
                    Expect.equal (point.MovedBits.HasValue) (point.Method = "greedy") "moved"

                let error bits name =
                    record.Points
                    |> Seq.find (fun point -> point.AverageBits = bits && point.Method = name)
                    |> _.CalibrationOutputSquaredError

                for bits in [ 2.0; 3.0; 4.0 ] do
                    Expect.isLessThan (error bits "greedy") (error bits "equal") $"{bits} bits"

                Expect.equal
                    [ for saving in record.Savings -> saving.Method ]
                    [ "random"; "sensitivity"; "dynamic"; "greedy" ]
                    "savings"

                let small = nonNull record.SmallCase
                Expect.equal (small.Budget, small.Tried, small.Methods.Count) (6, 28, 5) "small case"
                Expect.isTrue (small.Methods |> Seq.forall (fun found -> found.GapPercent > -1e-3)) "gaps"
                Expect.equal record.Images.Count 2 "images"

                for image in record.Images do
                    Expect.isLessThanOrEqual image.OutputSquaredError image.EqualOutputSquaredError "own bits"
                    Expect.equal (image.SideInformationBits, image.FeatureBits) (32L, 16L * 64L) "bits sent"

                let curve = File.ReadAllLines(Path.Combine(whole.Folder, RunLayout.AllocationCurve))
                Expect.equal curve.Length 21 "a line each, and the first"

                Expect.equal
                    (whole.Record.Kind, whole.Record.Status, whole.Record.StepsDone, whole.Record.Steps)
                    (RunKind.Allocate, RunStatus.Completed, 23L, 23L)
                    "record"

                Expect.equal (execute (quiet root) input |> get).Folder whole.Folder "found again"

                // the same, stopped inside the second greedy point

                let stopping =
                    context
                        root
                        (fun source report ->
                            if report.Unit = "bits" && report.Total = 16L && report.Done = 12L then
                                source.Cancel())
                        ignore

                match execute (forced stopping) input with
                | Error(Interrupted 15) -> ()
                | other -> failtestf "expected to be interrupted, got %A" other

                let folder, left =
                    Store.list (quiet root).Store
                    |> List.pick (fun run ->
                        match run.Record with
                        | Ok left when left.Status = RunStatus.Interrupted -> Some(run.Folder, left)
                        | _ -> None)

                Expect.equal left.StepsDone 9L "where it stopped"
                Directory.Delete(whole.Folder, true)
                let resumed = execute (quiet root) input |> get
                Expect.equal resumed.Folder folder "the same run"

                for one, other in Seq.zip resumed.Allocation.Points record.Points do
                    Expect.sequenceEqual one.Bits other.Bits $"{one.Method}, {one.AverageBits}"
                    Expect.equal one.Test other.Test $"{one.Method}, {one.AverageBits}")
        }

        test "the command makes the table, allocates with it, and refuses what can't be, in one line with its exit code" {
            inFolder (fun root ->
                let run = (trained root).Run
                let file = Path.Combine(root, "bits.json")
                File.WriteAllText(file, allocation)

                let dq arguments =
                    Program.run ([ "allocate"; file; "--artifacts"; root ] @ arguments)

                let refused arguments exitCode (said: string) =
                    let finished = dq arguments
                    let errors = finished.Errors.Split '\n' |> Array.filter _.StartsWith("dq: ")
                    Expect.equal finished.ExitCode exitCode finished.Errors
                    Expect.hasLength errors 1 finished.Errors
                    Expect.stringContains errors[0] said "what is said"

                let set key value = [ "--set"; $"allocation.{key}={value}" ]
                refused [ "--apply" ] 3 "expected the interval table of these settings, found none"
                refused [ "--apply"; "--table" ] 2 "expected --table or --apply"
                refused (set "reserves" "3") 2 "allocation.reserves: unknown key, did you mean 'reserve'?"
                refused (set "layer" "fc") 2 "bits.json: allocation.layer: expected one of backbone.blocks.0"
                refused (set "quantizer" "cubic") 2 "expected one of uniform, dorefa, logarithmic, got 'cubic'"

                refused
                    (set "average_bits" "[9]")
                    2
                    "allocation.average_bits[0]: expected a number above 0 and up to 8, got 9"

                refused (set "run" "nobody") 3 "expected a run whose name or id contains 'nobody'"

                refused
                    (set "network" "vgg16" @ set "run" "null")
                    2
                    "allocation.weights: expected torchvision's weights for vgg16"

                refused
                    (set "network" "alexnet"
                     @ set "run" "null"
                     @ set "weights" (fixture [ "pytorch"; "tensors.pt" ])
                     @ [ "--set"; "data.source=dead_leaves" ])
                    3
                    "expected torchvision's AlexNet"

                let made = dq [ "--table" ]
                Expect.equal made.ExitCode 0 made.Errors
                let table = made.Output.Trim()
                Expect.isTrue (File.Exists table) "the table"

                refused
                    (set "quantizer" "dorefa" @ [ "--intervals"; table ])
                    3
                    "quantizer dorefa; it was made for network tiny"

                let few = set "average_bits" "[2]" @ set "online_images" "0"
                let applied = dq (few @ [ "--apply"; "--json" ])
                Expect.equal applied.ExitCode 0 applied.Errors
                use json = JsonDocument.Parse applied.Output

                Expect.equal
                    (json.RootElement.GetProperty("allocation").GetProperty("points").GetArrayLength())
                    5
                    "points"

                let forced = dq (few @ [ "--apply"; "--force" ])
                Expect.equal forced.ExitCode 0 forced.Errors

                let shown = dq few
                Expect.stringContains shown.Output "squared error of the output" "the table of errors"
                Expect.stringContains shown.Errors "allocate: done before, reused" "reused"
                Expect.isTrue (Directory.Exists run.Folder) "the classifier's run stays")
        }
    ]

module DQ.Tests.Artifacts.ArtifactJsonTests

open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Tests.TemporaryFolder

let private split name count =
    DatasetSplit(count, PackedFile($"{name}.u8", int64 count * 12L, String.replicate 64 "a"), null)

let private record =
    DatasetRecord(
        Name = "leaves",
        Source = "dead_leaves",
        SourcePath = null,
        Fingerprint = "f0",
        Generator = "dead_leaves/1",
        Channels = 3,
        Height = 2,
        Width = 2,
        ClassNames = [ "café" ],
        Train = split "train" 3,
        Validation = split "validation" 1,
        Test = DatasetSplit(0, PackedFile("test.u8", 0L, ""), PackedFile("test.labels.i32", 0L, "")),
        TrainMean = [ 0.5; 0.25; 1.0 / 3.0 ],
        TrainStd = [ 0.1; 0.2; 0.3 ],
        SplitRule = "all",
        SplitSeed = 5L,
        CorruptImages = [ CorruptImage("a.png", "text") ],
        ResizedImages = 1,
        GrayImages = 2,
        OtherFiles = 3
    )

let private message (read: unit -> 'a) =
    try
        read () |> ignore
        ""
    with :? ArtifactException as problem ->
        problem.Message

[<Tests>]
let tests =
    testList "Artifacts.ArtifactJson" [
        test "writing and reading is the identity" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "dataset.json")
                ArtifactJson.Write(file, record)
                let first = File.ReadAllText file
                let back = ArtifactJson.Read<DatasetRecord> file
                ArtifactJson.Write(file, back)
                Expect.equal (File.ReadAllText file) first "the same text again"
                Expect.equal back.Train record.Train "train"
                Expect.sequenceEqual back.TrainMean record.TrainMean "numbers exactly"
                Expect.stringContains first "\"source_path\": null" "snake case"
                Expect.stringContains first "café" "readable names"
                Expect.equal (Directory.GetFiles folder) [| file |] "nothing beside it")
        }

        test "an unknown schema version is refused by file and version" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "dataset.json")
                ArtifactJson.Write(file, record)
                File.WriteAllText(file, (File.ReadAllText file).Replace("\"schema\": 1", "\"schema\": 99"))

                Expect.equal
                    (message (fun () -> ArtifactJson.Read<DatasetRecord> file))
                    $"{file}: schema version 99 is unknown; this program understands version 1"
                    "message")
        }

        test "what is no artifact is refused by file" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "dataset.json")

                for text in
                    [
                        ""
                        "[]"
                        "{}"
                        "{\"schema\": \"1\"}"
                        "{\"schema\": 1}"
                        "{\"schema\": 1, \"name\": 3}"
                    ] do
                    File.WriteAllText(file, text)
                    Expect.stringStarts (message (fun () -> ArtifactJson.Read<DatasetRecord> file)) $"{file}: " text

                File.Delete file

                Expect.stringStarts
                    (message (fun () -> ArtifactJson.Read<DatasetRecord> file))
                    $"{file}: can't be read"
                    "missing")
        }
    ]

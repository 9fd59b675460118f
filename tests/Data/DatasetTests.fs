module DQ.Tests.Data.DatasetTests

open System.IO
open System.Threading
open Expecto
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

let private withPacked test =
    inFolder (fun folder ->
        let packed = Path.Combine(folder, "leaves")

        Ingest.run (FileHashes()) leaves "leaves" packed (fun _ _ -> ()) CancellationToken.None
        |> ok
        |> ignore

        test packed)

let private openError packed =
    match Dataset.check (FileHashes()) packed |> Result.bind Dataset.open' with
    | Ok set ->
        (set :> System.IDisposable).Dispose()
        failwith "expected an error"
    | Error error -> dataError (Error error)

/// Checked and mapped.
let private opened folder =
    Dataset.check (FileHashes()) folder |> Result.bind Dataset.open' |> ok

[<Tests>]
let tests =
    testList "Data.Dataset" [
        test "opens what was packed" {
            withPacked (fun packed ->
                use set = opened packed

                Expect.equal
                    (set.Train.Images.Count, set.Validation.Images.Count, set.Test.Images.Count)
                    (32, 4, 4)
                    "counts"

                Expect.equal (Dataset.read packed |> ok).Record.Fingerprint set.Record.Fingerprint "the record alone")
        }

        test "a changed byte is found by checksum" {
            withPacked (fun packed ->
                let file = Path.Combine(packed, "validation.u8")
                let time = File.GetLastWriteTimeUtc file
                let bytes = File.ReadAllBytes file
                bytes[17] <- bytes[17] ^^^ 1uy
                File.WriteAllBytes(file, bytes)
                File.SetLastWriteTimeUtc(file, time) // nothing but the content tells

                Expect.stringStarts
                    (openError packed)
                    $"{file}: its content changed since it was packed: expected SHA-256"
                    "message")
        }

        test "a changed label is found too" {
            inFolder (fun folder ->
                let source, packed = Path.Combine(folder, "source"), Path.Combine(folder, "packed")
                writeCifar source 2

                let record =
                    Ingest.run
                        (FileHashes())
                        (from SourceKind.Cifar10 source)
                        "cifar"
                        packed
                        (fun _ _ -> ())
                        CancellationToken.None
                    |> ok

                let file = Path.Combine(packed, (nonNull record.Test.Labels).File)
                let bytes = File.ReadAllBytes file
                bytes[0] <- bytes[0] ^^^ 1uy
                File.WriteAllBytes(file, bytes)

                Expect.stringStarts
                    (openError packed)
                    $"{file}: its content changed since it was packed: expected SHA-256"
                    "message")
        }

        test "a shorter or missing file is named" {
            withPacked (fun packed ->
                let file = Path.Combine(packed, "train.u8")
                File.WriteAllBytes(file, (File.ReadAllBytes file)[..99])

                Expect.equal
                    (openError packed)
                    $"{file}: expected the 6144 bytes that dataset.json lists, got 100"
                    "shorter"

                File.Delete file
                Expect.stringEnds (openError packed) "found no file" "missing")
        }

        test "sizes that are none are refused by file" {
            withPacked (fun packed ->
                let file = Path.Combine(packed, "dataset.json")
                File.WriteAllText(file, (File.ReadAllText file).Replace("\"channels\": 3", "\"channels\": 0"))

                Expect.stringStarts
                    (openError packed)
                    $"{file}: expected sizes above 0 and no negative counts, got 0 × 8 × 8"
                    "message")
        }

        test "an unknown schema version is refused" {
            withPacked (fun packed ->
                let file = Path.Combine(packed, "dataset.json")
                File.WriteAllText(file, (File.ReadAllText file).Replace("\"schema\": 1", "\"schema\": 2"))

                Expect.equal
                    (openError packed)
                    $"{file}: schema version 2 is unknown; this program understands version 1"
                    "message")
        }

        test "labels are as many as images, and within the classes of the record" {
            inFolder (fun folder ->
                let source, packed = Path.Combine(folder, "source"), Path.Combine(folder, "packed")
                writeCifar source 2

                Ingest.run
                    (FileHashes())
                    (from SourceKind.Cifar10 source)
                    "set"
                    packed
                    (fun _ _ -> ())
                    CancellationToken.None
                |> ok
                |> ignore

                let file = Path.Combine(packed, "dataset.json")
                let text = File.ReadAllText file
                File.WriteAllText(file, text.Replace("\n    \"truck\"", "").Replace("\"ship\",", "\"ship\""))
                Expect.stringContains (openError packed) "expected labels below 9, got 9" "a class less"
                File.WriteAllText(file, text)

                (opened packed :> System.IDisposable).Dispose())
        }
    ]

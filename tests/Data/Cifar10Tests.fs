module DQ.Tests.Data.Cifar10Tests

open System.IO
open Expecto
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

[<Tests>]
let tests =
    testList "Data.Cifar10" [
        test "records come batch by batch with their labels" {
            inFolder (fun folder ->
                writeCifar folder 2
                let source = ok (Cifar10.open' folder)
                Expect.equal (source.Train.Count, source.Test.Value.Count) (10, 3) "counts"
                Expect.equal source.Train.Labels (Some [| 0..9 |]) "labels"
                Expect.equal source.Test.Value.Labels (Some [| 0..2 |]) "test labels"
                Expect.equal (source.Train.Read 5).Bytes (cifarPixels 5) "the second record of the third batch"
                Expect.equal (source.Test.Value.Read 2).Bytes (cifarPixels 12) "a test record"
                Expect.equal (source.Train.Name 5) "data_batch_3.bin[1]" "its name"
                Expect.equal source.ClassNames[3] "cat" "class names of old"
                source.Close())
        }

        test "the folder around it will do, and class names are read" {
            inFolder (fun folder ->
                let inner = Path.Combine(folder, "cifar-10-batches-bin")
                writeCifar inner 2

                File.WriteAllLines(
                    Path.Combine(inner, "batches.meta.txt"),
                    [ for label in 0..9 -> $"class {label}" ] @ [ "" ]
                )

                let source = ok (Cifar10.open' folder)
                Expect.equal source.ClassNames [ for label in 0..9 -> $"class {label}" ] "names"
                source.Close())
        }

        test "a truncated batch is refused by file, expectation and length" {
            inFolder (fun folder ->
                writeCifar folder 2
                let file = Path.Combine(folder, "data_batch_4.bin")
                File.WriteAllBytes(file, (File.ReadAllBytes file)[..5000])

                Expect.equal
                    (dataError (Cifar10.open' folder))
                    $"{file}: expected a length that is a multiple of 3073 bytes (one record), got 5001"
                    "message")
        }

        test "a missing batch, a wrong folder and a wrong label are refused" {
            inFolder (fun folder ->
                writeCifar folder 2
                let batch = Path.Combine(folder, "data_batch_2.bin")
                let content = File.ReadAllBytes batch
                content[3073] <- 77uy
                File.WriteAllBytes(batch, content)

                Expect.equal
                    (dataError (Cifar10.open' folder))
                    $"{batch}: expected labels below 10, got 77 in record 1"
                    "label"

                File.Delete batch
                Expect.stringStarts (dataError (Cifar10.open' folder)) $"{batch}: expected a batch file" "batch"
                let other = Path.Combine(folder, "other")

                Expect.stringStarts
                    (dataError (Cifar10.open' other))
                    $"{other}: expected the folder of CIFAR-10"
                    "folder")
        }
    ]

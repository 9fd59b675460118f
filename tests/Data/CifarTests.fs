module DQ.Tests.Data.CifarTests

open System.IO
open Expecto
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

[<Tests>]
let tests =
    testList "Data.Cifar" [
        test "records come batch by batch with their labels" {
            inFolder (fun folder ->
                writeCifar folder 2
                let source = ok (Cifar.open' Cifar.cifar10 folder)
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

                let source = ok (Cifar.open' Cifar.cifar10 folder)
                Expect.equal source.ClassNames [ for label in 0..9 -> $"class {label}" ] "names"
                source.Close())
        }

        test "a truncated batch is refused by file, expectation and length" {
            inFolder (fun folder ->
                writeCifar folder 2
                let file = Path.Combine(folder, "data_batch_4.bin")
                File.WriteAllBytes(file, (File.ReadAllBytes file)[..5000])

                Expect.equal
                    (dataError (Cifar.open' Cifar.cifar10 folder))
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
                    (dataError (Cifar.open' Cifar.cifar10 folder))
                    $"{batch}: expected labels below 10, got 77 in record 1"
                    "label"

                File.Delete batch

                Expect.stringStarts
                    (dataError (Cifar.open' Cifar.cifar10 folder))
                    $"{batch}: expected a batch file"
                    "batch"

                let other = Path.Combine(folder, "other")

                Expect.stringStarts
                    (dataError (Cifar.open' Cifar.cifar10 other))
                    $"{other}: expected the folder of CIFAR-10"
                    "folder")
        }

        test "CIFAR-100's records have a coarse label before the fine one" {
            inFolder (fun folder ->
                let record coarse fine index =
                    Array.append [| byte coarse; byte fine |] (cifarPixels index)

                let train = Array.concat [ record 3 42 0; record 19 99 1; record 0 7 2 ]
                File.WriteAllBytes(Path.Combine(folder, "train.bin"), train)
                File.WriteAllBytes(Path.Combine(folder, "test.bin"), record 5 1 3)
                let fine = ok (Cifar.open' Cifar.cifar100 folder)
                Expect.equal fine.Train.Labels (Some [| 42; 99; 7 |]) "fine labels"
                Expect.equal fine.Test.Value.Labels (Some [| 1 |]) "of the test split"
                Expect.equal (fine.Train.Read 1).Bytes (cifarPixels 1) "pixels"
                Expect.hasLength fine.ClassNames 100 "fine classes"
                fine.Close()

                File.WriteAllLines(
                    Path.Combine(folder, "coarse_label_names.txt"),
                    [ for label in 0..19 -> $"kind {label}" ]
                )

                let coarse = ok (Cifar.open' Cifar.cifar100Coarse folder)
                Expect.equal coarse.Train.Labels (Some [| 3; 19; 0 |]) "coarse labels"
                Expect.equal coarse.ClassNames[19] "kind 19" "their names"
                coarse.Close()
                let file = Path.Combine(folder, "test.bin")
                File.WriteAllBytes(file, record 20 1 3)

                Expect.equal
                    (dataError (Cifar.open' Cifar.cifar100Coarse folder))
                    $"{file}: expected labels below 20, got 20 in record 0"
                    "a wrong label"

                File.WriteAllBytes(file, Array.zeroCreate 3073)

                Expect.stringContains
                    (dataError (Cifar.open' Cifar.cifar100 folder))
                    "a multiple of 3074 bytes"
                    "records of the other set")
        }
    ]

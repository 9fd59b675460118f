module DQ.Tests.Data.ImageFolderTests

open System.IO
open System.IO.Compression
open Expecto
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

let private content = png 3 2 2 50
let private names split = [ for index in 0 .. split.Count - 1 -> split.Name index ]

let private tree folder files =
    writeTree folder [ for name in files -> name, content ]

[<Tests>]
let tests =
    testList "Data.ImageFolder" [
        test "folders are classes, taken in turns, to any depth" {
            inFolder (fun folder ->
                tree folder [ "dog/1.png"; "cat/x/1.JPEG"; "cat/2.webp"; "cat/3.jpg"; "dog/readme.txt" ]
                let source = ok (ImageFolder.open' folder mostPixels)
                Expect.equal source.ClassNames [ "cat"; "dog" ] "classes"
                Expect.equal (names source.Train) [ "cat/2.webp"; "dog/1.png"; "cat/3.jpg"; "cat/x/1.JPEG" ] "order"
                Expect.equal source.Train.Labels (Some [| 0; 1; 0; 0 |]) "labels"
                Expect.equal source.OtherFiles 1 "the text file is counted"
                Expect.equal (source.Train.Read 1).Height 2 "decoded")
        }

        test "loose images have no classes" {
            inFolder (fun folder ->
                tree folder [ "b.png"; "a.png"; "more/c.png" ]
                let source = ok (ImageFolder.open' folder mostPixels)
                Expect.equal (names source.Train) [ "a.png"; "b.png"; "more/c.png" ] "order"
                Expect.isNone source.Train.Labels "labels"
                Expect.isEmpty source.ClassNames "classes")
        }

        test "train, val and test folders are splits, in a zip and inside one folder too" {
            inFolder (fun folder ->
                tree (Path.Combine(folder, "in")) [
                    "set/Train/a/1.png"
                    "set/Train/b/2.png"
                    "set/val/b/3.png"
                    "set/test/4.png"
                ]

                let zip = Path.Combine(folder, "set.zip")
                ZipFile.CreateFromDirectory(Path.Combine(folder, "in"), zip)

                for path in [ Path.Combine(folder, "in"); zip ] do
                    let source = ok (ImageFolder.open' path mostPixels)
                    Expect.equal (names source.Train) [ "set/Train/a/1.png"; "set/Train/b/2.png" ] "train"
                    Expect.equal (names source.Validation.Value) [ "set/val/b/3.png" ] "validation"
                    Expect.equal source.Validation.Value.Labels (Some [| 1 |]) "labels by the classes of all splits"
                    Expect.equal (names source.Test.Value) [ "set/test/4.png" ] "test"
                    Expect.isNone source.Test.Value.Labels "no classes there"
                    source.Close())
        }

        test "a few loose images beside class folders are left out by name; as many or more make them no classes" {
            inFolder (fun folder ->
                tree folder [ "a/1.png"; "a/2.png"; "b/1.png"; "montage.png" ]
                let source = ok (ImageFolder.open' folder mostPixels)
                Expect.equal source.ClassNames [ "a"; "b" ] "classes"
                Expect.equal source.Train.Count 3 "images in folders"

                Expect.equal [ for image in source.LeftOut -> image.Name ] [ "montage.png" ] "left out by name"

                Expect.stringContains source.LeftOut.Head.Problem "move it into one, or away" "what to do"
                tree folder [ "2.png"; "3.png" ]
                let flat = ok (ImageFolder.open' folder mostPixels)
                Expect.isNone flat.Train.Labels "no classes"
                Expect.stringContains flat.Notes[0] "the folders are not classes" "said")
        }

        test "val and test without train, and one split in two folders, are refused" {
            for folders in [ [ "val"; "test" ]; [ "val" ]; [ "Testing" ] ] do
                inFolder (fun folder ->
                    tree folder [
                        for name in folders do
                            $"{name}/a/1.png"
                    ]

                    Expect.stringContains
                        (dataError (ImageFolder.open' folder mostPixels))
                        "found no train beside them: expected train"
                        "no train")

            inFolder (fun folder ->
                tree folder [ "train/1.png"; "val/2.png"; "valid/3.png" ]

                Expect.stringContains
                    (dataError (ImageFolder.open' folder mostPixels))
                    "expected one folder for a split, found 2"
                    "twice")

            inFolder (fun folder ->
                tree folder [ "valid/1.png"; "invalid/2.png" ]
                let source = ok (ImageFolder.open' folder mostPixels)
                Expect.equal source.ClassNames [ "invalid"; "valid" ] "a class that is called so"
                Expect.stringContains source.Notes[0] "read as a class" "said")
        }

        test "a lone train folder is no wrapping" {
            inFolder (fun folder ->
                tree folder [ "train/cat/1.png" ]
                Expect.equal (ok (ImageFolder.open' folder mostPixels)).ClassNames [ "cat" ] "its folders are classes")
        }

        test "an empty class folder is refused by name" {
            inFolder (fun folder ->
                tree folder [ "train/dog/1.png"; "train/cat/notes.txt" ]

                Expect.equal
                    (dataError (ImageFolder.open' folder mostPixels))
                    $"{folder}/train/cat: expected images in this class folder, found none"
                    "message")
        }

        test "no images, or images beside the splits, are refused" {
            inFolder (fun folder ->
                Expect.stringStarts
                    (dataError (ImageFolder.open' folder mostPixels))
                    $"{folder}: expected images (.png"
                    "none"

                tree folder [ "train/1.png"; "extra/2.png" ]

                Expect.stringStarts
                    (dataError (ImageFolder.open' folder mostPixels))
                    $"{folder}/extra: expected only train, val and test"
                    "beside")

            inFolder (fun folder ->
                tree folder [ "train/1.png"; "val/2.png"; "3.png" ]

                Expect.stringStarts
                    (dataError (ImageFolder.open' folder mostPixels))
                    $"{folder}/3.png: expected only train, val and test to hold images"
                    "a loose one")

            inFolder (fun folder ->
                tree folder [ "train/1.png"; "train/2.png"; "val/a/1.png"; "val/b/1.png" ]
                let source = ImageFolder.open' folder mostPixels |> ok
                Expect.exists source.Notes (fun note -> note.Contains "train: has no class folders") "said")
        }
    ]

module DQ.Tests.Data.TinyImageNetTests

open System.IO
open System.IO.Compression
open System.Text
open Expecto
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

let private image = png 3 64 64 50

let private text (lines: string list) =
    Encoding.UTF8.GetBytes(String.concat "\n" lines)

let private files = [
    for wnid in [ "n02"; "n01" ] do
        for index in 0..1 do
            yield $"tiny-imagenet-200/train/{wnid}/images/{wnid}_{index}.JPEG", image

    yield!
        [
            "train/n01/n01_boxes.txt", text [ "n01_0.JPEG\t0\t0\t9\t9" ]
            "val/images/val_0.JPEG", image
            "val/images/val_1.JPEG", image
            "val/val_annotations.txt", text [ "val_0.JPEG\tn02\t0\t0\t9\t9"; "val_1.JPEG\tn01\t0\t0\t9\t9"; "" ]
            "words.txt", text [ "n01\tgoldfish, Carassius auratus"; "n02\tnewt" ]
        ]
        |> List.map (fun (name, content) -> $"tiny-imagenet-200/{name}", content)
]

let private expectSource source =
    Expect.equal source.ClassNames [ "goldfish"; "newt" ] "classes"
    Expect.equal source.Train.Labels (Some [| 0; 1; 0; 1 |]) "labels, classes in turns"
    Expect.stringEnds (source.Train.Name 1) "n02_0.JPEG" "the first of the second class"
    Expect.equal source.Test.Value.Labels (Some [| 1; 0 |]) "labels of the annotations"
    Expect.equal (source.Test.Value.Read 1).Width 64 "decoded"
    source.Close()

[<Tests>]
let tests =
    testList "Data.TinyImageNet" [
        test "its folder, the folder around it, and its two zips" {
            inFolder (fun folder ->
                let around = Path.Combine(folder, "around")
                writeTree around files
                expectSource (ok (TinyImageNet.open' around mostPixels))
                expectSource (ok (TinyImageNet.open' (Path.Combine(around, "tiny-imagenet-200")) mostPixels))

                let zips = Path.Combine(folder, "zips")
                Directory.CreateDirectory zips |> ignore
                writeTree (Path.Combine(folder, "1")) files[..1]
                writeTree (Path.Combine(folder, "2")) files[2..]

                for part in [ "1"; "2" ] do
                    ZipFile.CreateFromDirectory(Path.Combine(folder, part), Path.Combine(zips, $"{part}of2.zip"))

                expectSource (ok (TinyImageNet.open' zips mostPixels)))
        }

        test "an annotated file that is absent is left out by name, in a folder and in a zip" {
            inFolder (fun folder ->
                writeTree folder [
                    for name, content in files do
                        if not (name.EndsWith "val_1.JPEG") then
                            name, content
                ]

                let zip = folder + ".zip"
                ZipFile.CreateFromDirectory(folder, zip)

                try
                    for path in [ folder; zip ] do
                        let source = ok (TinyImageNet.open' path mostPixels)
                        Expect.equal (source.Test.Value.Read 0).Width 64 "the other"

                        match ImageSource.attempt (fun () -> source.Test.Value.Read 1) with
                        | Error problem -> Expect.equal problem "expected a file, found none of that name" "problem"
                        | Ok _ -> failtest "expected a problem"

                        source.Close()
                finally
                    File.Delete zip)
        }

        test "another layout, an empty class and a wrong line are refused" {
            inFolder (fun folder ->
                Expect.stringContains
                    (dataError (TinyImageNet.open' folder mostPixels))
                    "found no val/val_annotations.txt"
                    "layout"

                writeTree folder files
                let root = Path.Combine(folder, "tiny-imagenet-200")
                let empty = Path.Combine(root, "train/n03")
                Directory.CreateDirectory empty |> ignore

                Expect.equal
                    (dataError (TinyImageNet.open' root mostPixels))
                    $"{empty}: expected images in this class folder, found none"
                    "empty"

                Directory.Delete empty
                writeTree root [ "val/val_annotations.txt", text [ "val_0.JPEG\tn09" ] ]
                Expect.stringEnds (dataError (TinyImageNet.open' root mostPixels)) "got 'val_0.JPEG\tn09'" "line")
        }
    ]

module DQ.Tests.Data.FileTreeTests

open System
open System.IO
open System.IO.Compression
open Expecto
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.Data.Zips
open DQ.Tests.TemporaryFolder

let private files = [
    "b/2.png", [| 2uy |]
    "a/1.png", [| 1uy |]
    "a/deep/3.txt", [| 3uy |]
    ".hidden/4.png", [| 4uy |]
    "__MACOSX/5.png", [| 5uy |]
]

/// Runs a test with the path of a zip of these entries.
let private withZip entries test =
    inFolder (fun folder ->
        let zip = Path.Combine(folder, "odd.zip")
        File.WriteAllBytes(zip, bytes entries)
        test zip)

let private expectTree (tree: FileTree) =
    Expect.equal tree.Files [| "a/1.png"; "a/deep/3.txt"; "b/2.png" |] "files, in order, without the hidden"
    Expect.equal (tree.Read 100L "a/deep/3.txt") [| 3uy |] "content"
    Expect.equal (FileTree.foldersIn "" tree) [| "a"; "b" |] "top folders"
    Expect.equal (FileTree.foldersIn "a" tree) [| "deep" |] "folders inside"
    Expect.equal (FileTree.filesUnder "a" tree) [| "a/1.png"; "a/deep/3.txt" |] "files below"
    tree.Close()

[<Tests>]
let tests =
    testList "Data.FileTree" [
        test "a folder, its zip, and two zips in a folder look the same" {
            inFolder (fun folder ->
                let source = Path.Combine(folder, "source")
                writeTree source files
                expectTree (ok (FileTree.open' source))

                let zip = Path.Combine(folder, "source.zip")
                ZipFile.CreateFromDirectory(source, zip)
                expectTree (ok (FileTree.open' zip))

                let halves = Path.Combine(folder, "halves")
                writeTree (Path.Combine(folder, "first")) files[..1]
                writeTree (Path.Combine(folder, "second")) files[2..]
                Directory.CreateDirectory halves |> ignore
                ZipFile.CreateFromDirectory(Path.Combine(folder, "first"), Path.Combine(halves, "1of2.zip"))
                ZipFile.CreateFromDirectory(Path.Combine(folder, "second"), Path.Combine(halves, "2of2.zip"))
                expectTree (ok (FileTree.open' halves)))
        }

        test "an empty folder is seen" {
            inFolder (fun folder ->
                Directory.CreateDirectory(Path.Combine(folder, "empty")) |> ignore
                let tree = ok (FileTree.open' folder)
                Expect.equal (FileTree.foldersIn "" tree) [| "empty" |] "folders")
        }

        test "what is neither is refused by name" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "a.tar")
                File.WriteAllText(file, "")

                Expect.equal
                    (dataError (FileTree.open' file))
                    $"{file}: expected a folder or a .zip of images, found an empty file"
                    "a file"

                let missing = Path.Combine(folder, "missing")

                Expect.stringStarts
                    (dataError (FileTree.open' missing))
                    $"{missing}: expected a folder or a .zip"
                    "nothing"

                let zip = Path.Combine(folder, "broken.zip")
                File.WriteAllText(zip, "no zip")

                Expect.equal
                    (dataError (FileTree.open' zip))
                    $"{zip}: broken.zip: expected a zip archive, found text of 6 bytes"
                    "no zip"

                let whole = bytes [ entry "1.png" (Array.zeroCreate 200) ]
                File.WriteAllBytes(zip, whole[..150])

                Expect.stringStarts
                    (dataError (FileTree.open' zip))
                    $"{zip}: broken.zip: not a whole zip"
                    "a broken zip")
        }

        test "names in a zip: by the flag, else by code page 437; a Unicode path that fits wins" {
            withZip
                [
                    entry "ä/1.png" [| 1uy |]
                    old (latin "x\x84\x94/2.png") [| 2uy |]
                    old (latin "x\x94\x84/2.png") [| 3uy |]
                    {
                        old (latin "_/4.png") [| 4uy |] with
                            Extra = unicodePath (latin "_/4.png") "日/4.png"
                    }
                    {
                        old (latin "_/5.png") [| 5uy |] with
                            Extra = unicodePath (latin "renamed since") "日/5.png"
                    }
                    old (latin @"win\6.png") [| 6uy |]
                    entry "./dot//7.png" [| 7uy |]
                ]
                (fun zip ->
                    let tree = ok (FileTree.open' zip)

                    Expect.equal
                        tree.Files
                        [|
                            "_/5.png"
                            "dot/7.png"
                            "win/6.png"
                            "xäö/2.png"
                            "xöä/2.png"
                            "ä/1.png"
                            "日/4.png"
                        |]
                        "names"

                    Expect.equal (tree.Read 1L "xöä/2.png") [| 3uy |] "each its own content"
                    tree.Close())
        }

        test "two entries of one name are an error, in one zip and over several" {
            for second in
                [
                    entry "a/1.png" [| 2uy |]
                    entry "a/1.png" [| 1uy |]
                    entry "./a/1.png" [| 2uy |]
                ] do
                withZip [ entry "a/1.png" [| 1uy |]; second ] (fun zip ->
                    Expect.equal
                        (dataError (FileTree.open' zip))
                        $"{zip}: odd.zip: two entries get the name 'a/1.png': expected each once"
                        "message")

            inFolder (fun folder ->
                let write name content =
                    File.WriteAllBytes(
                        Path.Combine(folder, name),
                        bytes [ entry "a/1.png" content; entry $"b/{name}.png" [||] ]
                    )

                write "1.zip" [| 1uy |]
                write "2.zip" [| 1uy |]
                let tree = ok (FileTree.open' folder)
                Expect.equal tree.Files.Length 3 "the same in both is read once"

                Expect.equal
                    tree.Notes
                    [ $"{folder}: 'a/1.png' is the same in 1.zip and 2.zip, and read once" ]
                    "and said"

                tree.Close()
                write "2.zip" [| 2uy |]

                Expect.stringContains
                    (dataError (FileTree.open' folder))
                    "both have 'a/1.png', with other contents"
                    "another")
        }

        test "names that lead out of the zip are left out by name" {
            let outside = [
                "/abs.png"
                "../up.png"
                "a/../../up.png"
                "C:/x.png"
                "C:x.png"
                @"\\server\x.png"
                "../notes.txt"
            ]

            withZip [ yield entry "a/1.png" [| 1uy |]; for name in outside -> entry name [| 9uy |] ] (fun zip ->
                let tree = ok (FileTree.open' zip)
                Expect.equal tree.Files [| "a/1.png" |] "the other"
                Expect.equal (FileTree.foldersIn "" tree) [| "a" |] "no folder of them"

                Expect.equal
                    [ for image in tree.LeftOut -> image.Name ]
                    [
                        for name in outside do
                            if name.EndsWith ".png" then
                                $"odd.zip: {name}"
                    ]
                    "images by name"

                tree.Close())
        }

        test "what can't be read from a zip is that file's matter, before memory is taken" {
            let odd = [
                {
                    entry "big.png" [| 1uy |] with
                        Claimed = 3_000_000_000L
                },
                "claims 3000000000 bytes, 1 are stored"
                {
                    entry "bomb.png" [| 1uy; 2uy |] with
                        Claimed = 3_000_000_000L
                        Method = 8
                },
                "more than its 2 stored bytes can hold"
                {
                    entry "lzma.png" [| 1uy |] with
                        Method = 14
                },
                "compressed by method 14 (LZMA)"
                {
                    entry "link.png" (latin "a/1.png") with
                        Mode = 0o120777
                },
                "a link"
                {
                    entry "torn.png" [| 1uy; 2uy; 3uy |] with
                        Method = 8
                },
                "damaged in the zip"
            ]

            withZip (entry "a/1.png" [| 1uy |] :: List.map fst odd) (fun zip ->
                let tree = ok (FileTree.open' zip)

                for (entry: Entry), message in odd do
                    let before = GC.GetAllocatedBytesForCurrentThread()

                    Expect.throwsC
                        (fun () -> tree.Read 100_000L (Text.Encoding.UTF8.GetString entry.Name) |> ignore)
                        (fun error ->
                            Expect.isTrue (error :? InvalidDataException) $"{error}"
                            Expect.stringContains error.Message message "what is wrong")

                    Expect.isLessThan (GC.GetAllocatedBytesForCurrentThread() - before) 10_000_000L "memory"

                Expect.throwsC (fun () -> tree.Read 0L "a/1.png" |> ignore) (fun error ->
                    Expect.stringContains error.Message "expected at most 0 bytes, got 1" "above what is asked")

                Expect.throwsC (fun () -> tree.Read 9L "none.png" |> ignore) (fun error ->
                    Expect.stringContains error.Message "found none of that name" "not there")

                tree.Close())
        }

        test "an encrypted zip says so" {
            withZip
                [
                    {
                        entry "a/1.png" [| 1uy |] with
                            Flags = 0x801
                            Method = 8
                    }
                ]
                (fun zip ->
                    Expect.equal
                        (dataError (FileTree.open' zip))
                        $"{zip}: odd.zip: 'a/1.png' is encrypted: expected a zip without a password"
                        "message")
        }

        test "zips beside other files are an error that says what was expected" {
            inFolder (fun folder ->
                writeTree folder [ "README.txt", [||]; "a.zip", bytes [ entry "a/1.png" [| 1uy |] ] ]

                Expect.stringContains
                    (dataError (FileTree.open' folder))
                    "found zips (a.zip) beside other files (README.txt) and no images: expected images, or zips and nothing else"
                    "message")
        }
    ]

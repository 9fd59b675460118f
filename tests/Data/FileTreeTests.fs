module DQ.Tests.Data.FileTreeTests

open System.IO
open System.IO.Compression
open Expecto
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

let private files = [
    "b/2.png", [| 2uy |]
    "a/1.png", [| 1uy |]
    "a/deep/3.txt", [| 3uy |]
    ".hidden/4.png", [| 4uy |]
    "__MACOSX/5.png", [| 5uy |]
]

let private expectTree (tree: FileTree) =
    Expect.equal tree.Files [| "a/1.png"; "a/deep/3.txt"; "b/2.png" |] "files, in order, without the hidden"
    Expect.equal (tree.Read "a/deep/3.txt") [| 3uy |] "content"
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
                    $"{file}: expected a folder or a .zip of images"
                    "a file"

                let missing = Path.Combine(folder, "missing")

                Expect.stringStarts
                    (dataError (FileTree.open' missing))
                    $"{missing}: expected a folder or a .zip"
                    "nothing"

                let zip = Path.Combine(folder, "broken.zip")
                File.WriteAllText(zip, "no zip")

                Expect.stringStarts
                    (dataError (FileTree.open' zip))
                    $"{zip}: broken.zip: not a whole zip"
                    "a broken zip")
        }
    ]

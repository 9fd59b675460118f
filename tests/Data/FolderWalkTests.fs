module DQ.Tests.Data.FolderWalkTests

open System.Diagnostics
open System.IO
open Expecto
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

let private names (walk: Walk) = [ for file in walk.Files -> file.Name ]

let private link (folder: string) (name: string) (target: string) =
    File.CreateSymbolicLink(Path.Combine(folder, name), target) |> ignore

let private pipe (path: string) =
    use made = Process.Start("mkfifo", [ path ])
    made.WaitForExit()

let private files = [ "a/1.png", [| 1uy |]; "a/deep/2.png", [| 2uy |]; "b/3.png", [| 3uy |] ]

let private all = [ "a/1.png"; "a/deep/2.png"; "b/3.png" ]

[<Tests>]
let tests =
    testList "Data.FolderWalk" [
        test "links to a folder above, beside, and through a second link are not followed, and counted" {
            inFolder (fun folder ->
                let root = Path.Combine(folder, "root")
                writeTree root files
                link root "a/up" ".."
                link root "a/again" root
                link root "b/side" "../a/deep"
                link root "b/circle" "circle"
                link folder "second" "root"
                link root "b/through" "../../second"
                link root "b/outside" folder // holds the root itself
                let walk = FolderWalk.walk root
                Expect.equal (names walk |> List.except [ "b/circle" ]) all "every file once"

                Expect.equal
                    (List.sort walk.LinksLeft)
                    [ "a/again"; "a/up"; "b/outside"; "b/side"; "b/through" ]
                    "links not followed"
                // by way of a link to the root itself
                Expect.equal
                    (names (FolderWalk.walk (Path.Combine(folder, "second")))
                     |> List.except [ "b/circle" ])
                    all
                    "the same")
        }

        test "links that lead elsewhere are followed once, to folders and to files" {
            inFolder (fun folder ->
                let root, other = Path.Combine(folder, "root"), Path.Combine(folder, "other")
                writeTree root files
                writeTree other [ "x/4.png", [| 4uy |]; "5.png", [| 5uy; 5uy |] ]
                link root "c" "../other/x"
                link root "d" "../other/x"
                link root "b/six.png" "../../other/5.png"
                link root "b/seven.png" "../../other/5.png"
                link root "b/own.png" "3.png"
                let walk = FolderWalk.walk root
                Expect.equal (names walk) [ "a/1.png"; "a/deep/2.png"; "b/3.png"; "b/seven.png"; "c/4.png" ] "files"
                Expect.equal (List.sort walk.LinksLeft) [ "b/own.png"; "b/six.png"; "d" ] "links"

                Expect.equal
                    [
                        for file in walk.Files do
                            if file.Name = "b/seven.png" then
                                file.Bytes
                    ]
                    [ 2L ]
                    "the length of what it leads to")
        }

        test "a pipe and a link to nothing are listed with what they are, and never opened" {
            inFolder (fun folder ->
                writeTree folder files
                pipe (Path.Combine(folder, "a/x.png"))
                link folder "a/y.png" "nowhere.png"
                link folder "b/z.png" "../a/x.png"

                let problems = [
                    for file in (FolderWalk.walk folder).Files do
                        match file.Problem with
                        | Some problem -> file.Name, problem
                        | None -> ()
                ]

                Expect.equal
                    problems
                    [ "a/x.png", "expected a file, got a pipe"; "a/y.png", "a link to nothing" ]
                    "problems; a link to the pipe is a second link to the same"

                let tree = ok (FileTree.open' folder)

                Expect.throwsC (fun () -> tree.Read 100L "a/x.png" |> ignore) (fun error ->
                    Expect.equal error.Message "expected a file, got a pipe" "not read"))
        }

        test "hidden folders are not walked" {
            inFolder (fun folder ->
                writeTree folder ([ ".git/x.png", [||]; "__MACOSX/y.png", [||] ] @ files)
                Expect.equal (names (FolderWalk.walk folder)) all "files")
        }
    ]

module DQ.Tests.AtomicFileTests

open System.IO
open Expecto
open DQ.Core
open DQ.Tests.Fixtures

[<Tests>]
let tests =
    testList "AtomicFile" [
        test "a write that fails midway leaves the old file and no temporary; one that succeeds replaces it" {
            withFile (fun path ->
                let folder = DirectoryInfo(Path.GetDirectoryName path |> nonNull)
                File.WriteAllText(path, "old")

                Expect.throwsT<InvalidDataException>
                    (fun () ->
                        AtomicFile.Write(
                            path,
                            fun stream ->
                                stream.Write "half"B
                                raise (InvalidDataException())
                        ))
                    "the failure passes through"

                Expect.equal (File.ReadAllText path) "old" "the old file"
                Expect.hasLength (folder.GetFiles()) 1 "nothing beside it"
                AtomicFile.Write(path, fun stream -> stream.Write "new"B)
                Expect.equal (File.ReadAllText path) "new" "the new file"
                Expect.hasLength (folder.GetFiles()) 1 "nothing beside it")
        }
    ]

module DQ.Tests.AtomicFileTests

open System
open System.IO
open Expecto
open DQ.Core
open DQ.Tests.Fixtures
open DQ.Tests.TemporaryFolder

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

        test "a pipe and a folder keep their places" {
            inFolder (fun folder ->
                let pipe, inner = Path.Combine(folder, "pipe"), Path.Combine(folder, "inner")
                use made = Diagnostics.Process.Start("mkfifo", [ pipe ])
                made.WaitForExit()
                Directory.CreateDirectory inner |> ignore

                for path, what in [ pipe, "a pipe"; inner, "a folder" ] do
                    let problem =
                        Expect.throwsC (fun () -> AtomicFile.Write(path, fun stream -> stream.Write "new"B)) _.Message

                    Expect.equal problem $"{path}: expected a file to write to, found {what}" "named"
                    Expect.equal (RegularFile.WhyNot path) what "still there"

                Expect.hasLength (Directory.GetFileSystemEntries folder) 2 "nothing beside them")
        }
    ]

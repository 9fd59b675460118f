/// Where runs are found, claimed, locked and ended: in one file.
module DQ.Tests.Pipeline.LifecycleTests

open System.IO
open System.Text.RegularExpressions
open Expecto
open DQ.Tests.Pipeline.Program

/// Sources of the pipeline but for those that define what is looked for.
let private sources =
    let folder = Path.Combine(repository, "src.Pipeline")

    [
        for file in Directory.GetFiles(folder, "*.fs", SearchOption.AllDirectories) do
            let name = Path.GetRelativePath(folder, file).Replace('\\', '/')

            if not (name.StartsWith "Storage/" || name.StartsWith "obj/" || name.StartsWith "bin/") then
                name, File.ReadAllText file
    ]

let private filesWith (pattern: string) = [
    for name, text in sources do
        if Regex.IsMatch(text, pattern) then
            name
]

[<Tests>]
let tests =
    testList "Pipeline.Lifecycle" [
        for what, pattern in
            [
                "finds runs by fingerprint", @"\bStore\.ofFingerprint\b"
                "claims runs", @"\bStore\.claim\b"
                "locks runs", @"\bRunLock\.Take\b"
                "begins runs", @"\.Begun\("
                "ends runs", @"\.TryEnd\(|\.Ended\("
            ] do
            test $"one file {what}" { Expect.equal (filesWith pattern) [ "StoredStage.fs" ] what }

        test "one file composes stages of the program" {
            let composing = filesWith @">=>" |> List.sort
            // the operator's own file, the pipelines, and the parts of a chain
            Expect.equal composing [ "Pipelines.fs"; "Progressive/ChainStages.fs"; "Stage.fs" ] "files"
        }
    ]

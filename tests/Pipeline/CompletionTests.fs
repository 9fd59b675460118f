/// The scripts of `dq completion`, in the shells they are for.
module DQ.Tests.Pipeline.CompletionTests

open System
open System.Diagnostics
open System.IO
open Expecto
open DQ.Tests.Pipeline.Program
open DQ.Tests.TemporaryFolder

let private isInstalled (shell: string) =
    (nonNull (Environment.GetEnvironmentVariable "PATH")).Split ':'
    |> Array.exists (fun folder -> File.Exists(Path.Combine(folder, shell)))

/// What a shell prints, each line; with two runs in the artifacts folder.
let private said (shell: string) (folder: string) (code: string) =
    for id in [ "2026-01-01-first-0000001"; "2026-01-02-second-0000002" ] do
        Directory.CreateDirectory(Path.Combine(folder, "artifacts", "runs", id))
        |> ignore

    let script = Path.Combine(folder, $"dq.{shell}")
    let made = run [ "completion"; shell ]
    Expect.equal made.ExitCode 0 made.Errors
    File.WriteAllText(script, made.Output)

    let start =
        ProcessStartInfo(
            shell,
            [ "-c"; code.Replace("SCRIPT", script) ],
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    start.WorkingDirectory <- folder
    start.Environment.Remove "DQ_ARTIFACTS" |> ignore
    start.Environment["HOME"] <- folder
    use started = nonNull (Process.Start start)
    let errors = started.StandardError.ReadToEndAsync()
    let output = started.StandardOutput.ReadToEnd()
    started.WaitForExit()
    Expect.equal (errors.Result.Trim()) "" "no complaints"
    output.Split('\n', StringSplitOptions.RemoveEmptyEntries) |> List.ofArray

/// Words so far, the last one begun; and what must be among the candidates, and what must not.
let private cases = [
    [ "ru" ], [ "run"; "runs" ], [ "train" ]
    [ "runs"; "" ], [ "list"; "compare"; "delete" ], [ "train" ]
    [ "runs"; "list"; "--st" ], [ "--status" ], [ "--tag" ]
    [ "runs"; "list"; "--status"; "" ], [ "completed"; "failed" ], [ "--status" ]
    [ "runs"; "show"; "2026-01-01" ], [ "2026-01-01-first-0000001" ], [ "2026-01-02-second-0000002" ]
    [ "datasets"; "" ], [ "list"; "show" ], [ "compare" ]
    [ "datasets"; "list"; "--js" ], [ "--json" ], [ "--count" ]
    [ "train"; "--js" ], [ "--json" ], [ "--quiet" ]
    [ "train"; "x.json"; "--set"; "training.ste" ], [ "training.steps=" ], [ "training.batch_size=" ]
    [ "completion"; "f" ], [ "fish" ], [ "bash" ]
]

let private check words expected others (candidates: string list) =
    for candidate in expected do
        Expect.contains candidates candidate $"%A{words}"

    for candidate in others do
        Expect.isFalse (List.contains candidate candidates) $"%A{words}: {candidate}"

let private quoted (word: string) = $"'{word}'"

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Completion" [
        test "bash completes" {
            inFolder (fun folder ->
                let ask words =
                    let all = "dq" :: words |> List.map quoted |> String.concat " "
                    $"COMP_WORDS=({all}); COMP_CWORD={List.length words}; _dq; printf '%%s\\n' \"${{COMPREPLY[@]}}\"; echo ---"

                let code =
                    "source SCRIPT; complete -p dq; "
                    + String.concat "; " [ for words, _, _ in cases -> ask words ]

                let output = said "bash" folder code
                Expect.stringContains output.Head "-F _dq" "it is registered"

                let answers =
                    (([ [] ]: string list list), output.Tail)
                    ||> List.fold (fun answers line ->
                        if line = "---" then
                            [] :: answers
                        else
                            (line :: answers.Head) :: answers.Tail)
                    |> List.tail
                    |> List.rev

                for (words, expected, others), answer in List.zip cases answers do
                    check words expected others answer)
        }

        test "fish completes" {
            if not (isInstalled "fish") then
                skiptest "fish is not installed"

            inFolder (fun folder ->
                for words, expected, others in cases do
                    let line = "dq " + String.concat " " words

                    said "fish" folder $"source SCRIPT; complete -C '{line}'"
                    |> List.map (fun line -> (line.Split '\t')[0])
                    |> check words expected others)
        }

        test "zsh completes" {
            if not (isInstalled "zsh") then
                skiptest "zsh is not installed"

            inFolder (fun folder ->
                // zsh's own functions need a terminal: these say what they were given
                let stubs =
                    "compdef() { :; }; compadd() { shift \"${@[(i)--]}\"; print -l -- \"$@\"; }; _files() { print files; }; "
                    + "_describe() { print -l -- \"${(@)${(P)2}%%:*}\"; }; "

                for words, expected, _ in cases do
                    let all = "dq" :: words |> List.map quoted |> String.concat " "

                    said "zsh" folder $"{stubs}source SCRIPT; words=({all}); CURRENT={List.length words + 1}; _dq"
                    // the shell itself keeps those that fit the word
                    |> List.filter _.StartsWith(List.last words)
                    |> check words expected [])
        }

        test "PowerShell's script knows all commands" {
            let made = run [ "completion"; "powershell" ]
            Expect.equal made.ExitCode 0 made.Errors
            Expect.stringContains made.Output "Register-ArgumentCompleter -Native -CommandName dq" "registered"
            Expect.stringContains made.Output "'dq runs list' = @('--archived'" "names of options"
            let json = run [ "completion"; "fish"; "--json" ]
            let tree = nonNull (System.Text.Json.Nodes.JsonNode.Parse json.Output)
            Expect.stringContains ((nonNull tree["script"]).ToString()) "complete -c dq" "in JSON"
            Expect.equal (run [ "completion"; "csh" ]).ExitCode 2 "another shell"
        }
    ]

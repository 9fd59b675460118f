/// Every reader of files against real files that were changed and cut short at random: each is read, or refused with an exit code
/// that a user's file may cause, within bounds on memory and time, and leaves nothing half-written. The cases are a function of their
/// number: `DQ_FUZZ_CASES=50000` runs more of them, `DQ_FUZZ_FIRST` begins elsewhere.
module DQ.Tests.Fuzz.FuzzTests

open System
open System.Collections.Generic
open System.Threading.Tasks
open Expecto
open DQ.Pipeline
open DQ.Tests.Fixtures
open DQ.Tests.Fuzz.Target
open DQ.Tests.TemporaryFolder

let private mostBytes = 1L <<< 30

/// A case takes milliseconds; one that takes so long hangs.
let private patience = TimeSpan.FromMinutes 2.0

let private variable name otherwise =
    match Environment.GetEnvironmentVariable name with
    | null
    | "" -> otherwise
    | text -> int text

let private targets =
    lazy
        (ImageReaders.readers.Value
         @ WeightReaders.readers.Value
         @ ArtifactReaders.readers.Value)

let private likely =
    Array.append [| 0uy; 1uy; 2uy; 127uy; 128uy; 255uy |] "0123456789{}[],:\"-.()RbtB/\\PK\n"B

/// The content that a case's number stands for.
let private changed (number: int) (files: byte[] list) =
    let random = Random number
    let whole = files[random.Next files.Length]

    match random.Next 8 with
    | 0 -> whole[.. random.Next(whole.Length + 1) - 1]
    | 1 -> mutate random 64 likely whole
    | 2 ->
        // what archives keep at their end
        let tail = min whole.Length 200
        Array.append whole[.. whole.Length - tail - 1] (mutate random tail likely whole[whole.Length - tail ..])
    | 3 ->
        // a length or an offset that is none
        let copy = Array.copy whole

        if copy.Length > 8 then
            let value = [|
                0UL
                0xFFFFFFFFUL
                0x7FFFFFFFUL
                0x7FFFFFFFFFFFFFFFUL
                0xFFFFFFFFFFFFFFFFUL
                0x80000000UL
            |]

            let at = random.Next(copy.Length - 8)
            let bytes = BitConverter.GetBytes value[random.Next value.Length]
            let bytes = if random.Next 2 = 0 then bytes else Array.rev bytes
            Array.blit bytes 0 copy at (if random.Next 2 = 0 then 4 else 8)

        copy
    | 4 ->
        let other = files[random.Next files.Length]
        Array.append whole[.. random.Next whole.Length - 1] other[random.Next other.Length ..]
    | 5 -> mutate random 1024 likely whole
    | _ -> mutate random Int32.MaxValue likely whole

let private allowed = set [ 2; 3; 4; 5 ]

/// What a case shows; None where it is as it should be.
let private find (target: Target) number =
    let content = changed number target.Files

    inFolder (fun folder ->
        let work () =
            let before = GC.GetAllocatedBytesForCurrentThread()

            let problem =
                try
                    match target.Read folder content with
                    | Ok() -> None
                    | Error error when allowed.Contains(StageError.exitCode error) ->
                        match StageError.lines error |> List.tryFind _.Contains('\n') with
                        | Some line -> Some $"more than one line: {line}"
                        | None -> None
                    | Error error -> Some $"{error}"
                with error ->
                    match Stage.expected (fun () -> Interrupted 2) error with
                    | Some expected when allowed.Contains(StageError.exitCode expected) -> None
                    | _ -> Some $"{error}"

            problem, GC.GetAllocatedBytesForCurrentThread() - before

        let task = Task.Run work

        if not (task.Wait patience) then
            Some "hangs"
        else
            match task.Result with
            | Some problem, _ -> Some problem
            | None, bytes when bytes > mostBytes -> Some $"took {bytes} bytes"
            | None, _ -> None)

[<Tests>]
let tests =
    testSequenced
    <| testList "Fuzz" [
        test "changed and truncated files are read or refused" {
            let cases = variable "DQ_FUZZ_CASES" 2500
            let first = variable "DQ_FUZZ_FIRST" 0
            let targets = Array.ofList targets.Value
            let finds = List<string>()

            for number in first .. first + cases - 1 do
                let target = targets[number % targets.Length]

                match find target number with
                | None -> ()
                | Some problem when finds.Count < 100 -> finds.Add $"case {number}, {target.Name}: {problem}"
                | Some _ -> ()

            if cases > 10_000 then
                use self = Diagnostics.Process.GetCurrentProcess()

                printfn
                    $"{cases} cases over {targets.Length} readers, {finds.Count} finds, peak of {self.PeakWorkingSet64 / 1_000_000L} MB"

            Expect.isEmpty finds (String.concat "\n" finds)
        }
    ]

module DQ.Tests.Pipeline.StageTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open FsCheck
open FsCheck.FSharp
open DQ.Core.Artifacts
open DQ.Pipeline

let private context force : StageContext = {
    Store = { Root = "" }
    Device = "cpu"
    Software = SoftwareRecord("", "", "", "", "")
    Force = force
    Cancellation = CancellationToken.None
    Stopped = fun () -> Interrupted 15
    Progress = ignore
    Note = ignore
}

/// Adds a number, remembers what it made by fingerprint, counts how often it ran.
let private adding (number: int) =
    let made = Collections.Generic.Dictionary<string, int>()
    let runs = ref 0

    runs,
    {
        Name = $"add {number}"
        Fingerprint = fun input -> Ok(Fingerprint.ofParts [ string number; string input ])
        Find =
            fun _ fingerprint _ ->
                match made.TryGetValue fingerprint with
                | true, output -> Ok(Some output)
                | _ -> Ok None
        Run =
            fun _ fingerprint input ->
                runs.Value <- runs.Value + 1
                made[fingerprint] <- input + number
                Task.FromResult(Ok(input + number))
    }

let private failing (error: exn) = {
    Name = "fail"
    Fingerprint = fun (_: int) -> Ok "fail"
    Find = fun _ _ _ -> Ok None
    Run = fun _ _ _ -> Task.FromException<Result<int, StageError>> error
}

let private execute context stage input =
    (Stage.execute context stage input).GetAwaiter().GetResult()

/// Short lists of short texts, of characters that a separator or a length could be made of.
let private parts =
    Gen.elements [ 'a'; ','; ':'; '1'; '\n' ]
    |> Gen.listOfLength 2
    |> Gen.map (fun some -> String(Array.ofList some))
    |> fun two -> Gen.oneof [ Gen.constant ""; Gen.constant "a"; two ]
    |> Gen.listOf
    |> Gen.map (List.truncate 3)

[<Tests>]
let tests =
    testList "Pipeline.Stage" [
        test "what was made for a fingerprint is not made again, but by force" {
            let runs, stage = adding 2
            Expect.equal (execute (context false) stage 1) (Ok 3) "made"
            Expect.equal (execute (context false) stage 1) (Ok 3) "found"
            Expect.equal runs.Value 1 "once"
            Expect.equal (execute (context false) stage 5) (Ok 7) "another input"
            Expect.equal (execute (context true) stage 1) (Ok 3) "forced"
            Expect.equal runs.Value 3 "three times in all"
        }

        test "stages in a row reuse what each has, and stop at the first error" {
            let firstRuns, first = adding 1
            let secondRuns, second = adding 10
            let both = first |> Stage.andThen second
            Expect.equal (execute (context false) both 1) (Ok 12) "both"
            Expect.equal (execute (context false) both 1) (Ok 12) "again"
            Expect.equal (firstRuns.Value, secondRuns.Value) (1, 1) "once each"

            let broken = failing (InvalidDataException "x") |> Stage.andThen second
            Expect.equal (execute (context false) broken 1) (Error(Data "x")) "the first one's error"
            Expect.equal secondRuns.Value 1 "the second did not run"
        }

        test "exceptions about files and machines become errors with their exit codes; bugs stay exceptions" {
            let exitCode (error: exn) =
                match execute (context false) (failing error) 1 with
                | Error error -> StageError.exitCode error
                | Ok _ -> 0

            Expect.equal (exitCode (IOException "No space left on device")) 3 "disk full"
            Expect.equal (exitCode (ArtifactException "run.json")) 3 "artifact"
            Expect.equal (exitCode (OperationCanceledException())) 143 "signal"
            Expect.equal (exitCode (OutOfMemoryException())) 5 "memory"

            Expect.throwsT<InvalidOperationException>
                (fun () -> exitCode (InvalidOperationException()) |> ignore)
                "a bug"
        }

        test "what libtorch says when memory runs out is one line with exit code 5" {
            // beyond any address space, so that no system grants it in the hope that it is never used
            let allocate () =
                TorchSharp.torch.empty([| pown 2L 60 |], dtype = TorchSharp.torch.ScalarType.Byte).Dispose()

            let greedy = {
                failing (exn ()) with
                    Run =
                        fun _ _ _ ->
                            allocate ()
                            Task.FromResult(Ok 0)
            }

            match execute (context false) greedy 1 with
            | Error(OutOfMemory(message, None) as error) ->
                Expect.equal (StageError.exitCode error) 5 "exit code"
                Expect.stringContains message "memory" "what libtorch says"
                Expect.isFalse (message.Contains '\n') message
            | other -> failtestf "expected to run out of memory, got %A" other
        }

        test "every error has its exit code" {
            let codes =
                [
                    Usage ""
                    Configuration []
                    Data ""
                    Busy ""
                    Storage ""
                    Numerical ""
                    OutOfMemory("", None)
                    Interrupted 2
                    Interrupted 15
                    TimeUp 1.0
                    CheckFailed ""
                    Several([], 5)
                ]
                |> List.map StageError.exitCode

            Expect.equal codes [ 2; 2; 3; 3; 3; 4; 5; 130; 143; 0; 1; 5 ] "as documented"
        }

        test "parts of a fingerprint don't run into each other" {
            Expect.notEqual (Fingerprint.ofParts [ "ab"; "c" ]) (Fingerprint.ofParts [ "a"; "bc" ]) "boundaries count"
        }

        testProperty "other parts, another fingerprint, whatever stands in them"
        <| Prop.forAll (Arb.fromGen (Gen.two parts)) (fun (some, others) ->
            (Fingerprint.ofParts some = Fingerprint.ofParts others) = (some = others))
    ]

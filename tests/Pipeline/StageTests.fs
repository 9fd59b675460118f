module DQ.Tests.Pipeline.StageTests

open System
open System.Collections.Generic
open System.IO
open System.Threading.Tasks
open Expecto
open FsCheck
open FsCheck.FSharp
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Tests.Pipeline.Contexts
open DQ.Tests.TemporaryFolder

/// What stages of numbers have made, by fingerprint, and the names of those that ran.
type private Made = {
    Outputs: Dictionary<string, int>
    Ran: ResizeArray<string>
}

let private nothingMade () = {
    Outputs = Dictionary()
    Ran = ResizeArray()
}

/// A stage with settings: adds a number to its input, and remembers what it made.
let private adding (made: Made) (setting: int) : Stage<int, int> =
    let name = $"add {setting}"

    let fingerprint input =
        Fingerprint.parts input
        |> Option.map (fun parts -> Fingerprint.ofParts ("add" :: string setting :: parts))

    let find fingerprint : Artifact<int> option =
        match made.Outputs.TryGetValue fingerprint with
        | true, value ->
            Some {
                Fingerprint = Fingerprint.Of fingerprint
                Value = value
            }
        | _ -> None

    {
        Name = name
        Plan =
            fun standing input ->
                let found =
                    fingerprint input.Fingerprint
                    |> Option.bind find
                    |> Option.filter (fun _ -> not standing.Force)

                Ok {
                    Fingerprint =
                        match fingerprint input.Fingerprint with
                        | Some name -> Fingerprint.Of name
                        | None -> Fingerprint.Unknown
                    Steps = [
                        {
                            Stage = name
                            Action = if found.IsSome then Action.Reuse else Action.Make
                            Why = ""
                        }
                    ]
                    Finished = found
                }
        Run =
            fun context input ->
                let fingerprint = (fingerprint input.Fingerprint).Value

                match find fingerprint with
                | Some output when not context.Standing.Force -> Task.FromResult(Ok output)
                | _ ->
                    made.Ran.Add name
                    made.Outputs[fingerprint] <- input.Value + setting
                    Task.FromResult(Ok (find fingerprint).Value)
    }

let private number (value: int) : Stage<unit, int> =
    Stage.lookup "number" (fun _ ->
        Ok {
            Fingerprint = Fingerprint.Of(string value)
            Value = value
        })

let private failing (error: exn) : Stage<int, int> = {
    Name = "fail"
    Plan = fun _ _ -> Error(CheckFailed "not planned")
    Run = fun context _ -> Stage.inBackground context (fun () -> raise error)
}

let private inContext test =
    inFolder (fun root -> test (quiet root))

let private plan (context: StageContext) stage = get (Stage.plan context.Standing stage)

let private outcome (context: StageContext) (stage: Stage<unit, 'o>) =
    (stage.Run context Stage.start).GetAwaiter().GetResult() |> get

/// What a plan says would be made.
let private toMake (planned: Planned<'o>) = [
    for step in planned.Steps do
        if step.Action <> Action.Reuse then
            step.Stage
]

/// Settings of four stages in a row.
let private settings = Gen.listOfLength 4 (Gen.choose (0, 3))

let private property arbitrary (check: 'a -> unit) =
    Check.One(Config.QuickThrowOnFailure.WithMaxTest 60, Prop.forAll (Arb.fromGen arbitrary) check)

/// A pipeline with every combinator: numbers in a row, two on one input, a chain of three, and a stage that depends on its
/// input.
let private pipeline made (settings: int list) : Stage<unit, int> =
    let add = adding made
    let sum (values: Artifact<int> list) = values |> List.sumBy _.Value

    let linked setting : Stage<Link<int, int>, int> =
        let value (link: Link<int, int>) : Artifact<int> = {
            Fingerprint =
                Fingerprint.All [
                    link.Input.Fingerprint
                    yield! link.Before |> Option.map _.Fingerprint |> Option.toList
                ]
            Value = link.Input.Value + (link.Before |> Option.map _.Value |> Option.defaultValue 0)
        }

        add setting |> Stage.onPart id value

    number 1
    >=> add settings[0]
    >=> Stage.all [ add (10 + settings[1]); add 20; add 30 ]
    >=> Stage.scan [ linked settings[2]; linked 40; linked settings[3] ]
    >=> Stage.dependent "last" [] (fun _ inputs -> Ok(Stage.map sum Stage.input >=> add (List.length inputs.Value)))

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
        test "composition is associative in plan, fingerprint and result" {
            property settings (fun settings ->
                inContext (fun context ->
                    let made, alike = nothingMade (), nothingMade ()

                    let stages made =
                        adding made settings[0], adding made settings[1], adding made settings[2]

                    let f, g, h = stages made
                    let f', g', h' = stages alike
                    let left = number settings[3] >=> ((f >=> g) >=> h)
                    let right = number settings[3] >=> (f' >=> (g' >=> h'))
                    Expect.equal (plan context left) (plan context right) "plans"
                    let first, second = outcome context left, outcome context right
                    Expect.equal first second "results and their fingerprints"
                    Expect.sequenceEqual made.Ran alike.Ran "what ran"
                    Expect.equal (plan context left) (plan context right) "plans of what is finished"))
        }

        test "a plan names what a run makes; what it says would be made is what runs" {
            property settings (fun settings ->
                inContext (fun context ->
                    let made = nothingMade ()
                    let row = number 1 >=> adding made settings[0] >=> adding made settings[1]
                    let planned = plan context row
                    let output = outcome context row
                    Expect.equal planned.Fingerprint output.Fingerprint "the name"
                    Expect.sequenceEqual made.Ran (toMake planned) "what ran"
                    // half of this one is there
                    let longer = row >=> Stage.all [ adding made 7; adding made settings[2] ]
                    let planned = plan context longer
                    made.Ran.Clear()
                    let output = outcome context longer
                    Expect.equal planned.Fingerprint output.Fingerprint "the name of both"
                    Expect.sequenceEqual made.Ran (List.distinct (toMake planned)) "what ran then"))
        }

        test "a finished pipeline runs nothing, and its plan has its output" {
            property settings (fun settings ->
                inContext (fun context ->
                    let made = nothingMade ()
                    let whole = pipeline made settings
                    let output = outcome context whole
                    made.Ran.Clear()
                    Expect.equal (outcome context whole) output "the same"
                    Expect.isEmpty made.Ran "nothing ran"
                    let planned = plan context whole
                    Expect.equal (planned.Finished, planned.Fingerprint) (Some output, output.Fingerprint) "planned"
                    Expect.isEmpty (toMake planned) "nothing to make"))
        }

        test "a changed setting runs its stage and those after it, and no other" {
            // the first: all eight. One of three on one input: it, the chain from it on, the last. A member of the chain: it and
            // those after it.
            for changed, expected in [ 0, 8; 1, 5; 2, 4; 3, 2 ] do
                inContext (fun context ->
                    let made = nothingMade ()
                    let settings = [ 1; 2; 3; 4 ]
                    outcome context (pipeline made settings) |> ignore
                    made.Ran.Clear()

                    outcome context (pipeline made (List.updateAt changed 9 settings)) |> ignore

                    Expect.equal made.Ran.Count expected $"setting {changed}")
        }

        test "what is forced is made again, and a plan says so" {
            inContext (fun context ->
                let made = nothingMade ()
                let row = number 1 >=> adding made 2 >=> adding made 3
                outcome context row |> ignore
                made.Ran.Clear()
                let forced = forced context
                Expect.equal (toMake (plan forced row)) [ "add 2"; "add 3" ] "planned"
                Expect.equal (outcome forced row).Value 6 "made"
                Expect.sequenceEqual made.Ran [ "add 2"; "add 3" ] "ran")
        }

        test "the first error ends a pipeline" {
            inContext (fun context ->
                let made = nothingMade ()
                let broken = number 1 >=> failing (InvalidDataException "x") >=> adding made 2
                Expect.equal (run context broken) (Error(Data "x")) "the first one's error"
                Expect.isEmpty made.Ran "the second did not run")
        }

        test "what depends on an input that is not there is not known before" {
            inContext (fun context ->
                let made = nothingMade ()

                let unknown = [
                    {
                        Stage = "later"
                        Action = Action.Make
                        Why = "later"
                    }
                ]

                let whole =
                    number 1
                    >=> adding made 1
                    >=> Stage.dependent "later" unknown (fun _ input -> Ok(adding made input.Value))
                    >=> adding made 5

                let planned = plan context whole
                Expect.equal planned.Fingerprint Fingerprint.Unknown "no name"
                Expect.equal (toMake planned) [ "add 1"; "later"; "add 5" ] "what would be made"
                Expect.equal (outcome context whole).Value 9 "made"
                Expect.notEqual (plan context whole).Fingerprint Fingerprint.Unknown "then it has one")
        }

        test "a stage that has to be finished is no other's work" {
            inContext (fun context ->
                let made = nothingMade ()
                let stage = adding made 2

                let required = number 1 >=> Stage.whenFinished (fun _ -> Data "make it first") stage

                Expect.equal (run context required) (Error(Data "make it first")) "missing"
                Expect.isEmpty made.Ran "not made"
                outcome context (number 1 >=> stage) |> ignore
                Expect.equal (run context required) (Ok 3) "found")
        }

        test "exceptions about files and machines become errors with their exit codes; bugs stay exceptions" {
            inContext (fun context ->
                let exitCode (error: exn) =
                    match run context (number 1 >=> failing error) with
                    | Error error -> StageError.exitCode error
                    | Ok _ -> 0

                Expect.equal (exitCode (IOException "No space left on device")) 3 "disk full"
                Expect.equal (exitCode (ArtifactException "run.json")) 3 "artifact"
                Expect.equal (exitCode (OperationCanceledException())) 143 "signal"
                Expect.equal (exitCode (OutOfMemoryException())) 5 "memory"

                Expect.throwsT<InvalidOperationException>
                    (fun () -> exitCode (InvalidOperationException()) |> ignore)
                    "a bug")
        }

        test "what libtorch says when memory runs out is one line with exit code 5" {
            // beyond any address space, so that no system grants it in the hope that it is never used
            let allocate () =
                TorchSharp.torch.empty([| pown 2L 60 |], dtype = TorchSharp.torch.ScalarType.Byte).Dispose()

            match Stage.attempt (fun () -> Interrupted 2) (fun () -> Ok(allocate ())) with
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

module DQ.Tests.Data.MixTests

open System.IO
open System.Threading
open Expecto
open FsCheck
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Data
open DQ.Pipeline.Storage
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

let private mix (file: string) = {
    from SourceKind.Mix file with
        ImageSize = Some 8
        Validation = 3.0
        Test = 0.0
}

let private pack config folder =
    Ingest.run (FileHashes()) config "sample" folder (fun _ _ -> ()) CancellationToken.None

let private problem (file: string) (text: string) =
    File.WriteAllText(file, text)

    match Mix.read file with
    | Error(Data message) -> message
    | other -> failtestf "%A" other

[<Tests>]
let tests =
    testList "Data.Mix" [
        test "weights give proportions: the part that ends first is used up, and the order mixes them" {
            Expect.equal (Mix.counts [ Some 2.0; Some 1.0 ] [ 40; 100 ]) [ 40; 20 ] "the first ends"
            Expect.equal (Mix.counts [ Some 2.0; Some 1.0 ] [ 400; 100 ]) [ 200; 100 ] "the second ends"
            Expect.equal (Mix.counts [ None; None ] [ 3; 5 ]) [ 3; 5 ] "all without weights"

            Expect.equal
                [ for struct (part, index) in Mix.order [ 4; 2 ] -> part, index ]
                [ 0, 0; 1, 0; 0, 1; 0, 2; 1, 1; 0, 3 ]
                "one in the middle of every two"
        }

        testProperty "every image once, each part in its order, any stretch in proportion"
        <| fun (NonNegativeInt a) (NonNegativeInt b) (NonNegativeInt c) ->
            let counts = [ 1 + a % 50; b % 50; c % 50 ]
            let order = Mix.order counts
            Expect.equal order.Length (List.sum counts) "all"

            for part, count in List.indexed counts do
                let indices = [
                    for struct (owner, index) in order do
                        if owner = part then
                            index
                ]

                Expect.equal indices [ 0 .. count - 1 ] "in order"

                for length in 1 .. order.Length do
                    let seen =
                        order
                        |> Seq.truncate length
                        |> Seq.filter (fun struct (owner, _) -> owner = part)
                        |> Seq.length

                    let fair = float (count * length) / float order.Length
                    Expect.isLessThanOrEqual (abs (float seen - fair)) 2.5 "within two images of the proportion"

        test "packed: CIFAR-10 and dead leaves, two to one, without classes; what each gave is noted" {
            inFolder (fun folder ->
                writeCifar (Path.Combine(folder, "cifar")) 4
                let file = Path.Combine(folder, "mix.json")

                File.WriteAllText(
                    file,
                    """[ // comments are allowed
                         { "source": "cifar10", "path": "cifar", "weight": 2 },
                         { "source": "dead_leaves", "count": 30, "weight": 1 }, ]"""
                )

                let record = pack (mix file) (Path.Combine(folder, "packed")) |> ok
                Expect.equal (record.Train.Count, record.Validation.Count, record.Test.Count) (27, 3, 0) "20 and 10"
                Expect.equal (record.Channels, record.Height) (3, 8) "brought to one shape"
                Expect.isEmpty record.ClassNames "no classes"

                Expect.containsAll
                    record.Notes
                    [
                        "0-cifar10: 20 of 20 training images"
                        "1-dead_leaves: 10 of 30 training images"
                    ]
                    "said"

                let foreseen config =
                    (Ingest.foresee (FileHashes()) config |> ok).Fingerprint

                Expect.equal (foreseen (mix file)) record.Fingerprint "the same set"
                File.WriteAllText(file, File.ReadAllText(file).Replace("\"weight\": 2", "\"weight\": 4"))
                Expect.notEqual (foreseen (mix file)) record.Fingerprint "another mix is another set")
        }

        test "what is wrong with the file is one line with its place" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "mix.json")

                let expect text part =
                    Expect.stringContains (problem file text) part text

                expect "{}" "expected a list of sources"
                expect "[" "expected a JSON list of sources"
                expect "[3]" "[0]: expected an object"
                expect """[{ "source": "cifar" }]""" "[0].source: expected one of dead_leaves, cifar10"
                expect """[{ "source": "mix", "path": "mix.json" }]""" "[0].source: expected one of"
                expect """[{ "source": "cifar10" }]""" "[0].path: expected the folder or file"
                expect """[{ "source": "cifar10", "path": 3 }]""" "[0].path: expected a path, got 3"
                expect """[{ "source": "cifar10", "path": "x", "wieght": 3 }]""" "[0].wieght: expected source"

                expect
                    """[{ "source": "cifar10", "path": "x", "weight": 0 }]"""
                    "[0].weight: expected a number above 0"

                expect """[{ "source": "dead_leaves" }]""" "[0].count: expected how many images"

                expect
                    """[{ "source": "dead_leaves", "count": 3 }, { "source": "dead_leaves", "count": 4 }]"""
                    "expected every source once, got dead_leaves more than once"

                expect
                    """[{ "source": "idx", "path": "x" }, { "source": "idx", "path": "y/../x" }]"""
                    "expected every source once, got idx"

                expect
                    """[{ "source": "idx", "path": "x", "weight": 1 }, { "source": "idx", "path": "y" }]"""
                    "expected a weight for every source or for none")
        }

        test "a part that can't be opened is the mix's error" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "mix.json")
                File.WriteAllText(file, """[{ "source": "cifar10", "path": "nowhere" }]""")

                match pack (mix file) (Path.Combine(folder, "packed")) with
                | Error(Data message) -> Expect.stringContains message "nowhere" "names the folder"
                | other -> failtestf "%A" other)
        }
    ]

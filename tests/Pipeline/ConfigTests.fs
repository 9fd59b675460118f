module DQ.Tests.Pipeline.ConfigTests

open System
open System.IO
open System.Text.Json.Nodes
open Expecto
open FsCheck
open FsCheck.FSharp
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program

/// Small trees of objects, arrays and values over few keys, so that merges meet.
let private trees =
    let key = Gen.elements [ "a"; "b"; "c" ]

    let leaf: Gen<JsonNode | null> =
        Gen.oneof [
            Gen.constant null
            Gen.choose (0, 9) |> Gen.map (fun number -> JsonValue.Create number)
            Gen.elements [ "x"; "y" ] |> Gen.map (fun text -> JsonValue.Create text)
            Gen.listOf (Gen.choose (0, 3))
            |> Gen.map (fun items -> JsonArray([| for item in items -> JsonValue.Create item :> JsonNode | null |]))
        ]

    let rec tree depth : Gen<JsonObject> =
        let value =
            if depth = 0 then
                leaf
            else
                Gen.oneof [ leaf; tree (depth - 1) |> Gen.map (fun o -> o :> JsonNode | null) ]

        Gen.zip key value
        |> Gen.listOf
        |> Gen.map (fun pairs ->
            let result = JsonObject()

            for key, value in pairs do
                result[key] <- value |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj

            result)

    tree 2

let private forTrees check = Prop.forAll (Arb.fromGen trees) check

let private same (a: JsonNode) (b: JsonNode) =
    ConfigTree.canonical a = ConfigTree.canonical b

let private problems (result: Result<'a, StageError>) =
    match result with
    | Error(Configuration problems) -> problems
    | other -> failtestf "expected configuration problems, got %A" other

let private written (text: string) (check: string -> 'a) =
    inFolder (fun folder ->
        let file = Path.Combine(folder, "small.json")
        File.WriteAllText(file, text)
        check file)

let private load text sets =
    written text (fun file -> Config.load file sets)

let private one result =
    match result with
    | Ok [ variant ] -> variant.Config: RunConfig
    | other -> failtestf "expected one run, got %A" other

[<Tests>]
let tests =
    testList "Pipeline.Config" [
        test "a message that quotes a file with line breaks is one line" {
            match load "{ \"seed\": 1,\n  \"name\": nu\"\n }" [] with
            | Error error ->
                let line = List.exactlyOne (StageError.lines error)
                Expect.isFalse (line |> Seq.exists Char.IsControl) line
            | Ok _ -> failtest "expected a refusal"
        }

        test "an image source that there is none of is said with those there are" {
            for text, got in [ "\"imagenet\"", "'imagenet'"; "3", "3"; "null", "null" ] do
                match load $"{{ \"data\": {{ \"source\": {text} }} }}" [] |> problems with
                | [ problem ] ->
                    Expect.equal problem.Key "data.source" "key"
                    Expect.stringStarts problem.Message "expected one of dead_leaves, cifar10, " "names"
                    Expect.stringEnds problem.Message $"got {got}" "what was given"
                | other -> failtestf "%A" other
        }

        testProperty "merging with nothing changes nothing"
        <| forTrees (fun tree ->
            same tree (ConfigTree.mergeObjects tree (JsonObject()))
            && same tree (ConfigTree.mergeObjects (JsonObject()) tree))

        testProperty "merging twice is merging once"
        <| Prop.forAll (Arb.fromGen (Gen.two trees)) (fun (under, over) ->
            let once = ConfigTree.mergeObjects under over

            same once (ConfigTree.mergeObjects once over)
            && same under (ConfigTree.mergeObjects under under))

        testProperty "what is laid over wins, key by key"
        <| Prop.forAll (Arb.fromGen (Gen.two trees)) (fun (under, over) ->
            let merged = ConfigTree.mergeObjects under over
            let keys = Set.ofSeq [ for pair in Seq.append under over -> pair.Key ]

            Set.ofSeq [ for pair in merged -> pair.Key ] = keys
            && keys
               |> Set.forall (fun key ->
                   match over.ContainsKey key, over[key] with
                   | true, (:? JsonObject) -> merged[key] :? JsonObject
                   | true, value -> ConfigTree.canonical merged[key] = ConfigTree.canonical value
                   | false, _ -> ConfigTree.canonical merged[key] = ConfigTree.canonical under[key]))

        test "arrays are replaced, not merged by index" {
            let config = one (load """{ "model": { "codes": [32] } }""" [])
            Expect.sequenceEqual config.Model.CodeCounts [ 32 ] "one level instead of the default's two"
        }

        test "a file says little, the rest is the typed default; comments and trailing commas are fine" {
            let config = one (load """{ "training": { "steps": 7, }, /* short */ } // end""" [])
            Expect.equal config.Training.Steps 7L "the file's value"
            Expect.equal config.Training.BatchSize Settings.defaults.Training.BatchSize "the default's value"
            Expect.equal config.Name "small" "named after its file"
        }

        test "the resolved configuration reads back as itself" {
            let config =
                one (load """{ "training": { "learning_rate": 2e-4 }, "data": { "image_size": 32 } }""" [])

            let again = Config.ofTree (Settings.toTree config)
            Expect.equal (Config.canonical again) (Config.canonical config) "the same text"
            Expect.equal again.Data config.Data "the same record"

            let sameRate =
                one (load """{ "training": { "learning_rate": 0.0002 }, "data": { "image_size": 32 } }""" [])

            Expect.equal (Config.canonical sameRate) (Config.canonical config) "however a number is written"
        }

        test "--set takes JSON and, where it is none, a string" {
            let config =
                one (
                    load "{}" [
                        "training.steps=12"
                        "data.source=cifar10"
                        "data.path=."
                        "model.codes=[16,32,64]"
                        "data.flip=true"
                    ]
                )

            Expect.equal config.Training.Steps 12L "a number"
            Expect.equal config.Data.Path "." "a string"
            Expect.sequenceEqual config.Model.CodeCounts [ 16; 32; 64 ] "a list"
            Expect.isTrue config.Data.Flip "a boolean"
        }

        test "extends lays a file over another, relative to itself" {
            inFolder (fun folder ->
                let sub = Directory.CreateDirectory(Path.Combine(folder, "sub")).FullName
                File.WriteAllText(Path.Combine(folder, "base.json"), """{ "seed": 3, "training": { "steps": 5 } }""")
                let file = Path.Combine(sub, "over.json")
                File.WriteAllText(file, """{ "extends": "../base.json", "training": { "batch_size": 2 } }""")
                let config = one (Config.load file [])
                Expect.equal (config.Seed, config.Training.Steps, config.Training.BatchSize) (3L, 5L, 2) "both files"

                File.WriteAllText(Path.Combine(folder, "base.json"), """{ "extends": "sub/over.json" }""")
                let circle = problems (Config.load file [])
                Expect.equal (List.map _.Key circle) [ "extends" ] "a circle is refused")
        }

        test "assignments go over what variants say; one variant has keys of its own" {
            written
                """{ "variants": { "dq": { "training": { "steps": 7 } }, "vq": { "training": { "steps": 8 } } } }"""
                (fun file ->
                    let steps sets =
                        match Config.load file sets with
                        | Ok variants -> variants |> List.map (fun variant -> variant.Config.Training.Steps)
                        | other -> failtestf "%A" other

                    Expect.equal (steps []) [ 7L; 8L ] "the file's"
                    Expect.equal (steps [ "training.steps=3" ]) [ 3L; 3L ] "of both"
                    Expect.equal (steps [ "variants.vq.training.steps=4" ]) [ 7L; 4L ] "of one"
                    Expect.equal (steps [ "training.steps=3"; "variants.vq.training.steps=4" ]) [ 3L; 4L ] "both ways")
        }

        test "the schema's least values are those of the checks" {
            let set (key: string) (value: float) =
                let value = value.ToString Globalization.CultureInfo.InvariantCulture
                let isList = key = "model.codes"
                if isList then $"{key}=[{value}]" else $"{key}={value}"

            let concerns (key: string) sets =
                written "{}" (fun file ->
                    match Config.load file sets with
                    | Error(Configuration problems) ->
                        problems |> List.exists (fun problem -> (problem.Key.Split '[')[0] = key)
                    | _ -> false)

            for key, least in Settings.minima do
                Expect.isTrue (concerns key [ set key (least - 1.0) ]) $"{key} below {least}"
                Expect.isFalse (concerns key [ "model.pad=true"; set key least ]) $"{key} of {least}"

            for key in Settings.positive do
                Expect.isTrue (concerns key [ set key 0.0 ]) $"{key} of 0"
        }

        test "a file with a prior is not an autoencoder's, whether it names the prior's run or not" {
            for text in [ """{ "prior": { "radius": 2 } }"""; """{ "prior": { "run": "a" } }""" ] do
                match load text [] with
                | Error problem ->
                    Expect.stringContains (String.concat " " (StageError.lines problem)) "dq prior trains" text
                | Ok _ -> failtestf "accepted %s" text

                Expect.isOk (load text [ "prior.run=null" ]) "left out"
        }

        test "nine faults are nine lines" {
            let faults = [
                "seeed=1"
                "data.image_size=-1"
                "data.validation=2.5"
                "model.codes=[0]"
                "model.channels=1"
                "model.quantizer.decay=7"
                "training.steps=-5"
                "training.learning_rate=many"
                "evaluation.splits=[\"all\"]"
            ]

            written "{}" (fun file -> Expect.hasLength (problems (Config.load file faults)) faults.Length "a line each")
        }

        test "a path is an error where images are drawn" {
            written """{ "data": { "path": "." } }""" (fun file ->
                let problem = problems (Config.load file []) |> List.exactlyOne
                Expect.equal problem.Key "data.path" "where"
                Expect.stringStarts problem.Message "expected none with data.source dead_leaves" "why")
        }

        test "an assignment to a variant that no file has is an error where files have some" {
            match load """{ "variants": { "dq": {}, "vq": {} } }""" [ "variants.qd.training.steps=3" ] with
            | Error problems ->
                let text = String.concat "\n" (StageError.lines problems)
                Expect.stringContains text "variants.qd: expected one of the file's variants: dq, vq" "named"
            | Ok _ -> failtest "accepted"

            Expect.isOk (load "{ }" [ "variants.dq.training.steps=3" ]) "a file without any can be given one"
        }

        test "variants are laid over the rest, in order, and null takes one out" {
            let text =
                """{ "variants": { "dq": {}, "vq": { "model": { "quantizer": { "kind": "vector" } } } } }"""

            match load text [] with
            | Ok [ dq; vq ] ->
                Expect.equal (dq.Variant, vq.Variant) ("dq", "vq") "their names"
                Expect.equal dq.Config.Model.Quantizer.Kind "depthwise" "the default"
                Expect.equal vq.Config.Model.Quantizer.Kind "vector" "the variant's"
            | other -> failtestf "expected two variants, got %A" other

            match load text [ "variants.dq=null" ] with
            | Ok [ vq ] -> Expect.equal vq.Variant "vq" "the one left"
            | other -> failtestf "expected one variant, got %A" other
        }

        test "unknown keys and wrong types are reported all at once, with file, key and what was meant" {
            let text =
                """{ "sed": 1, "learning_rate": 1, "data": 5, "model": { "codes": [128, "x"], "chanels": 3, "stride": 2.5 },
                     "training": { "steps": "many" }, "variants": { "vq": { "modle": {} } } }"""

            written text (fun file ->
                let found = problems (Config.load file [ "data.pth=x" ])

                let expected = [
                    "sed", "did you mean 'seed'?"
                    "learning_rate", "did you mean 'training.learning_rate'?"
                    "data", "expected an object { … }, got 5"
                    "model.codes[1]", "expected a whole number, got \"x\""
                    "model.chanels", "did you mean 'channels'?"
                    "model.stride", "expected a whole number, got 2.5"
                    "training.steps", "expected a whole number, got \"many\""
                    "variants.vq.modle", "did you mean 'model'?"
                    "data.pth", "did you mean 'path'?"
                ]

                for key, message in expected do
                    match found |> List.tryFind (fun problem -> problem.Key = key) with
                    | None -> failtestf "no problem reported for %s in %A" key found
                    | Some problem ->
                        Expect.stringContains problem.Message message key
                        Expect.equal problem.File (if key = "data.pth" then "--set" else file) "where it came from"

                Expect.equal found.Length expected.Length "and nothing else")
        }

        test "variants are taken out by null" {
            let variants =
                load """{ "variants": { "dq": { "training": { "steps": 7 } }, "vq": {} } }""" [ "variants=null" ]

            match variants with
            | Ok [ { Variant = ""; Config = config } ] ->
                Expect.equal config.Training.Steps Settings.defaults.Training.Steps "nothing of them is left"
            | other -> failtestf "%A" other
        }

        test "wrong keys, types and values are reported in one go, each key once" {
            let found =
                problems (
                    load
                        """{ "modle": 1, "model": { "codes": [128, "x"], "codebooks": 0 }, "training": { "steps": 0 },
                             "variants": { "vq": { "training": { "batch_size": "many" } } } }"""
                        [ "data.count=0" ]
                )

            Expect.equal
                (found |> List.map _.Key |> List.sort)
                [
                    "data.count"
                    "model.codebooks"
                    "model.codes[1]"
                    "modle"
                    "training.steps"
                    "variants.vq.training.batch_size"
                ]
                "keys"
        }

        test "bad values are reported all at once, with the key that holds them" {
            let found =
                problems (
                    load
                        """{ "model": { "codes": [128, 0] }, "training": { "learning_rate": -1, "keep": 0 },
                             "data": { "max_pixels": 0 }, "evaluation": { "splits": ["tset"] } }"""
                        [ "training.clip_norm=-2" ]
                )

            let keys = found |> List.map _.Key |> List.sort

            Expect.equal
                keys
                [
                    "data.max_pixels"
                    "evaluation.splits[0]"
                    "model.codes[1]"
                    "training.clip_norm"
                    "training.keep"
                    "training.learning_rate"
                ]
                "every one"

            let clip = found |> List.find (fun problem -> problem.Key = "training.clip_norm")
            Expect.equal clip.File "--set" "the assignment, not the file"
        }

        test "an image side the model can't halve is refused with the divisor and the remedy" {
            let text = """{ "data": { "image_size": 28 } }"""

            match problems (load text []) with
            | [ problem ] ->
                Expect.equal problem.Key "data.image_size" "the key"
                Expect.stringContains problem.Message "divisible by 8" "the divisor"
                Expect.stringContains problem.Message "--set model.pad=true" "the remedy"
            | other -> failtestf "expected one problem, got %A" other

            let padded = one (load text [ "model.pad=true" ])
            Expect.equal (Checks.paddedSide padded.Model padded.Pad 28) (Ok 32) "the side the model sees"
        }

        test "what is no JSON, no object or no file is one problem naming the file" {
            for text in [ "{ \"seed\": }"; "[1]"; "{ \"seed\": 1, \"seed\": 2 }" ] do
                written text (fun file ->
                    match problems (Config.load file []) with
                    | [ problem ] -> Expect.equal problem.File file text
                    | other -> failtestf "expected one problem for %s, got %A" text other)

            match problems (Config.load "no-such.json" []) with
            | [ problem ] -> Expect.stringContains problem.Message "found none" "missing"
            | other -> failtestf "expected one problem, got %A" other
        }

        test "the schema in configs/ is the one the records make" {
            let committed =
                File.ReadAllText(Path.Combine(repository, "configs", "dq.schema.json"))

            Expect.equal committed (ConfigSchema.generate ()) "dq schema > configs/dq.schema.json"
        }

        test "every configuration in configs/ is valid" {
            let shipped =
                Directory.GetFiles(Path.Combine(repository, "configs"), "*.json")
                |> Array.filter (fun file -> not (file.EndsWith ".schema.json"))

            Expect.isNonEmpty shipped "there are some"

            inFolder (fun data ->
                for file in shipped do
                    let text = File.ReadAllText file

                    let sets = [
                        if text.Contains "data.path" then
                            $"data.path={data}"
                        if text.Contains "\"sweep\"" then
                            "sweep=null"
                        if text.Contains "\"prior\":" then
                            "prior.run=null"
                    ]

                    let loaded =
                        if text.Contains "\"progressive\"" then
                            DQ.Pipeline.Progressive.Chain.load file sets |> Result.map _.Phases.Length
                        elif text.Contains "\"allocation\":" then
                            Config.layers file sets
                            |> Result.bind (DQ.Pipeline.Allocation.AllocationConfig.read file)
                            |> Result.map (fun _ -> 1)
                        elif text.Contains "\"classification\"" then
                            Config.loadClassifiers file sets |> Result.map _.Length
                        else
                            Config.load file sets |> Result.map _.Length

                    match loaded with
                    | Ok runs -> Expect.isGreaterThan runs 0 file
                    | Error error -> failtestf "%s: %A" file (StageError.lines error))
        }
    ]

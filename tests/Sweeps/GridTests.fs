/// From a `sweep` object to cells.
module DQ.Tests.Sweeps.GridTests

open System.IO
open System.Text.Json.Nodes
open Expecto
open FsCheck
open FsCheck.FSharp
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Sweeps
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program

let private load (text: string) (sets: string list) =
    inFolder (fun folder ->
        let file = Path.Combine(folder, "grid.json")
        File.WriteAllText(file, text)
        Sweep.load Trends.names file sets)

let private cells text sets : Sweep.Cell list =
    match load text sets with
    | Ok sweep -> sweep.Cells
    | Error error -> failtestf "%A" (StageError.lines error)

/// Key and message of every problem.
let private problems text sets =
    match load text sets with
    | Error(Configuration problems) -> [ for problem in problems -> problem.Key, problem.Message ]
    | other -> failtestf "expected configuration problems, got %A" other

/// Axes of distinct values over three keys, some of them absent.
let private axes =
    let values low high =
        Gen.choose (low, high)
        |> Gen.nonEmptyListOf
        |> Gen.map (List.distinct >> List.truncate 4)

    let axis key low high =
        Gen.zip (Gen.elements [ true; true; false ]) (values low high)
        |> Gen.map (fun (present, values) -> if present then Some(key, values) else None)

    Gen.map3
        (fun a b c -> List.choose id [ a; b; c ])
        (axis "model.codebooks" 1 9)
        (axis "training.batch_size" 1 64)
        (axis "model.quantizer.commitment" 0 5)

let private gridOf (axes: (string * int list) list) =
    let lists = [
        for key, values in axes ->
            let items = values |> List.map string |> String.concat ", "
            $"\"{key}\": [{items}]"
    ]

    "{" + String.concat ", " lists + "}"

let private valueOf (cell: Sweep.Cell) key =
    match ConfigTree.find key cell.Tree with
    | Some value -> int ((nonNull value).ToJsonString())
    | None -> failtestf "no %s" key

let private drawn count more =
    cells
        $$"""{ "sweep": { "random": { "count": {{count}}, "seed": 3, "ranges": {
               "training": { "learning_rate": { "from": 1e-5, "to": 1e-2, "scale": "log" } },
               "model.codebooks": { "from": 1, "to": 4 } {{more}} } } } }"""
        []

[<Tests>]
let tests =
    testList "Sweeps.Grid" [
        test "random cells are within their ranges, spread over them, and stay when more are drawn" {
            let cells = drawn 200 ""
            Expect.hasLength cells 200 "as many as asked for"
            let rates = [ for cell in cells -> cell.Variant.Config.Training.LearningRate ]
            Expect.all rates (fun rate -> rate >= 1e-5 && rate <= 1e-2) "rates"
            // a third of each decade of the three; ±5 deviations of a binomial share
            for decade in 0..2 do
                let low = 1e-5 * 10.0 ** float decade

                let share =
                    rates
                    |> List.filter (fun rate -> rate >= low && rate < 10.0 * low)
                    |> List.length

                Expect.isTrue (share > 33 && share < 101) $"decade {decade} has {share} of 200"

            let books = [ for cell in cells -> valueOf cell "model.codebooks" ]
            Expect.equal (List.sort (List.distinct books)) [ 1; 2; 3; 4 ] "whole numbers, both ends"

            let settings (cells: Sweep.Cell list) = [ for cell in cells -> ConfigTree.canonical cell.Tree ]
            Expect.equal (settings (drawn 20 "")) (List.truncate 20 (settings cells)) "the first stay"

            let more = drawn 20 """, "model.quantizer.kind": ["depthwise", "vector"] """

            Expect.equal
                [ for cell in more -> cell.Variant.Config.Training.LearningRate ]
                (List.truncate 20 rates)
                "so do other keys"
        }

        test "random cells that can't be told apart are fewer; wrong ranges are said by key" {
            let few =
                cells """{ "sweep": { "random": { "count": 9, "ranges": { "model.codebooks": [1, 2] } } } }""" []

            Expect.hasLength few 2 "two there are"

            let wrong =
                problems
                    """{ "sweep": { "random": { "count": 0, "tries": 1, "ranges": { "training.learning_rate": { "from": 0, "to": 1, "scale": "log" },
                         "model.codebooks": { "from": 3, "to": 2 }, "seed": [1], "model.codes": 4 } } } }"""
                    []

            Expect.equal
                (List.sort (List.map fst wrong))
                [
                    "sweep.random.count"
                    "sweep.random.ranges.model.codebooks"
                    "sweep.random.ranges.model.codes"
                    "sweep.random.ranges.seed"
                    "sweep.random.ranges.training.learning_rate.from"
                    "sweep.random.tries"
                ]
                "all of them"
        }

        testPropertyWithConfig
            {
                FsCheckConfig.defaultConfig with
                    maxTest = 20
            }
            "every combination once, the first key slowest, the seed fastest; no two the same run"
        <| Prop.forAll
            (Arb.fromGen (Gen.zip axes (Gen.elements [ [ 0 ]; [ 3; 1 ]; [ 0; 1; 2 ] ])))
            (fun (axes, seeds) ->
                let listed = seeds |> List.map string |> String.concat ", "

                let cells: Sweep.Cell list =
                    cells $$"""{ "sweep": { "grid": {{gridOf axes}}, "seeds": [{{listed}}] } }""" []

                let rec expected (axes: (string * int list) list) =
                    match axes with
                    | [] -> [ [] ]
                    | (_, values) :: rest -> [
                        for value in values do
                            for others in expected rest -> value :: others
                      ]

                let found = [
                    for cell in cells -> [ for key, _ in axes -> valueOf cell key ], cell.Variant.Config.Seed
                ]

                let wanted = [
                    for values in expected axes do
                        for seed in seeds -> values, int64 seed
                ]

                let prints = cells |> List.map (fun cell -> Train.settings cell.Variant.Config)

                found = wanted
                && List.length (List.distinct prints) = cells.Length
                && (cells |> List.map _.Index) = [ 0 .. cells.Length - 1 ])

        test "a list of cells comes after the grid; variants multiply; nested keys are the same as dotted ones" {
            let text =
                """{ "variants": { "dq": {}, "vq": { "model": { "quantizer": { "kind": "vector" } } } },
                     "sweep": { "grid": { "model": { "codebooks": [1, 2] } }, "cells": [{ "model.codes": [4, 8, 16] }] } }"""

            let found = [
                for cell in cells text [] ->
                    let model = cell.Variant.Config.Model
                    model.Codebooks, List.ofSeq model.CodeCounts, model.Quantizer.Kind
            ]

            let codes = List.ofSeq Settings.defaults.Model.CodeCounts

            Expect.equal
                found
                [
                    1, codes, "depthwise"
                    1, codes, "vector"
                    2, codes, "depthwise"
                    2, codes, "vector"
                    Settings.defaults.Model.Codebooks, [ 4; 8; 16 ], "depthwise"
                    Settings.defaults.Model.Codebooks, [ 4; 8; 16 ], "vector"
                ]
                "in order"
        }

        test "--set goes over the cells' own settings, and may name the sweep" {
            let text =
                """{ "sweep": { "grid": { "model.codebooks": [1, 2] }, "cells": [{ "training.steps": 70 }] } }"""

            let set =
                cells text [ "training.steps=9"; "sweep.seeds=[4,5]"; "sweep.grid.model.codebooks=[3]" ]

            Expect.equal [ for cell in set -> cell.Variant.Config.Training.Steps ] [ 9L; 9L; 9L; 9L ] "steps"
            Expect.equal [ for cell in set -> cell.Variant.Config.Seed ] [ 4L; 5L; 4L; 5L ] "seeds"

            Expect.equal
                (set.Head.Variant.Variant, set[1].Variant.Variant)
                ("codebooks-3-seed-4", "codebooks-3-seed-5")
                "names"
        }

        test "what is wrong is named with its key, all at once" {
            let found =
                problems
                    """{ "sweep": { "gird": {}, "grid": { "model.codebooks": [], "model.codes": 5, "seed": [1] },
                                    "seeds": [1.5], "trends": ["loss_rises"], "cells": [], "published": 3 } }"""
                    []

            for key, message in
                [
                    "sweep.gird", "did you mean 'grid'?"
                    "sweep.grid.model.codebooks", "expected a list of values, at least one; got []"
                    "sweep.grid.model.codes", "expected a list of values, at least one; got 5"
                    "sweep.grid.seed", "sweep.seeds lists them"
                    "sweep.seeds[0]", "expected a whole number, got 1.5"
                    "sweep.trends[0]", "expected one of loss_falls_with_codebooks"
                    "sweep.cells", "expected a list, at least one, each an object of settings; got []"
                    "sweep.published", "expected the name of a file, got 3"
                ] do
                match found |> List.tryFind (fun (other, _) -> other = key) with
                | Some(_, said) -> Expect.stringContains said message key
                | None -> failtestf "no problem at %s in %A" key found

            Expect.hasLength found 8 "and nothing else"
        }

        test "values of cells are checked like any others, each problem once" {
            let found =
                problems
                    """{ "sweep": { "grid": { "model.codebook": [1, 2], "model.codes": [32], "training.steps": [5, 0] },
                                    "cells": [{ "model.channels": 1 }], "seeds": [0, 1, 2] } }"""
                    []

            Expect.equal
                (List.map fst found)
                [
                    "sweep.grid.model.codebook"
                    "sweep.grid.model.codes"
                    "sweep.grid.training.steps"
                    "sweep.cells[0].model.channels"
                ]
                $"%A{found}"

            Expect.stringContains (snd found.Head) "did you mean 'codebooks'?" "a suggestion"

            match problems """{ "sweep": { "grid": { "training.steps": [5, 0] } } }""" [] with
            | [ "sweep.grid.training.steps", message ] -> Expect.stringContains message "at least 1, got 0" "the value"
            | other -> failtestf "expected one problem, got %A" other
        }

        test "cells that are one run are refused, and grids beyond reason" {
            for text in
                [
                    """{ "sweep": { "grid": { "model.codebooks": [2, 2] } } }"""
                    """{ "sweep": { "seeds": [1, 1] } }"""
                    """{ "sweep": { "grid": { "model.codebooks": [2] }, "cells": [{ "model.codebooks": 2 }] } }"""
                ] do
                match problems text [] with
                | [ "sweep", message ] -> Expect.stringContains message "are the same run" text
                | other -> failtestf "expected one problem, got %A" other

            let many = [ 1..200 ] |> List.map string |> String.concat ","

            match
                problems
                    $$"""{ "sweep": { "grid": { "training.steps": [{{many}}], "training.batch_size": [{{many}}] } } }"""
                    []
            with
            | [ "sweep.grid", message ] -> Expect.stringContains message "10000 cells, got 40000" "how many"
            | other -> failtestf "expected one problem, got %A" other
        }

        test "a configuration without a sweep is for dq run, and one with a sweep is not" {
            match load "{}" [] with
            | Error(Usage message) -> Expect.stringContains message "expected a sweep object" "sweep"
            | other -> failtestf "expected a usage error, got %A" other

            inFolder (fun folder ->
                let file = Path.Combine(folder, "grid.json")
                File.WriteAllText(file, """{ "sweep": { "seeds": [1] } }""")

                match Config.load file [] with
                | Error(Usage message) -> Expect.stringContains message "dq sweep" "run"
                | other -> failtestf "expected a usage error, got %A" other

                Expect.isOk (Config.load file [ "sweep=null" ]) "without its sweep")
        }

        test "every sweep in configs/paper is valid, and its published numbers find their cells" {
            inFolder (fun data ->
                let published name count =
                    let file = Path.Combine(repository, "configs", "paper", name + ".json")

                    match Sweep.load Trends.names file [ $"data.path={data}" ] with
                    | Error error -> failtestf "%s: %A" name (StageError.lines error)
                    | Ok sweep ->
                        let entries =
                            match sweep.Published |> Option.map Tables.load with
                            | Some(Ok entries) -> entries
                            | other -> failtestf "%s: %A" name other

                        let rows =
                            Rows.ofStates sweep.Keys entries [
                                for cell in sweep.Cells -> cell, Board.CellState.Waiting
                            ]

                        let beside =
                            rows
                            |> List.filter (fun row -> row.Record.Published.ContainsKey row.Record.Loss)

                        Expect.equal (rows.Length, beside.Length) count name

                // of the 48 cells of Table 1, three can't be read
                published "table1" (48, 45)
                published "table2" (54, 54)
                published "likelihood" (2, 2)
                published "one-level" (2, 2)
                published "mnist" (2, 2)
                published "small" (12, 12)
                published "small-hierarchies" (8, 8))
        }
    ]

/// What is typed to find runs.
module DQ.Tests.Reports.SearchTests

open System
open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Reports.Catalog
open DQ.Reports.Pages
open DQ.Reports.Urls
open DQ.Tests.Reports.Rendering
open DQ.Tests.Reports.Site

[<Tests>]
let tests =
    testSequenced
    <| testList "Reports.Search" [
        test "runs are found by words, fields, settings, numbers and expressions" {
            withContext seeds.Value (fun _ catalog ->
                let found text =
                    let search = RunSearch.Of text
                    Expect.isEmpty (search.ProblemsWith catalog.Current.Runs) text
                    catalog.Current.Runs |> Seq.filter search.Fits |> Seq.length

                for text, count in
                    [
                        "", 6
                        "tiny", 6
                        "tiny vq", 3
                        "name:vq", 3
                        "-vector", 3
                        "method:vector", 3
                        "-method=vector", 3
                        "method!=vector", 3
                        "status=completed", 6
                        "seed=2", 2
                        "seed>=1", 4
                        "seed!=1 vq", 2
                        "lr>=1e-4", 6
                        "lr>3e-4", 0
                        "learning_rate=0.0002", 6
                        "training.learning_rate=2e-4", 6
                        "quantizer.kind=vector", 3
                        "codes=8,8", 6
                        "test_reconstruction_nats_per_dim<2.15", 2
                        "/tiny-[dv]q/", 6
                        "/^tiny-v/ seed<2", 2
                        "-/VQ$/", 3
                        "/a b/", 0
                        "\"tiny-dq\"", 3
                        "data:dead", 6
                        "-", 6
                    ] do
                    Expect.equal (found text) count text)
        }

        test "tags and notes are found" {
            inCopy (fun folder ->
                Annotations.Change(folder, runOf folder "dq", _.Tagged([ "good" ], []).Noted("two words"))
                |> ignore

                withContext folder (fun _ catalog ->
                    let found text =
                        catalog.Current.Runs |> Seq.filter (RunSearch.Of text).Fits |> Seq.length

                    for text, count in
                        [
                            "tag:good", 1
                            "-tag:good", 1
                            "tag=goo", 0
                            "note:\"two words\"", 1
                            "good", 1
                        ] do
                        Expect.equal (found text) count text))
        }

        test "an expression or a setting that there is not is said, and the rest applies" {
            withContext seeds.Value (fun context _ ->
                for text in [ "/[/"; "/(?=x)/"; "/(/" ] do
                    goTo context (Query().With(Links.Names.Search, [ $"{text} vq" ]).ToString())
                    let page = render<Runs> context []
                    Expect.hasLength (all "td.name" page) 3 $"the rest of {text}"
                    Expect.stringContains (all "p.problem" page).Head.TextContent text "said"

                goTo context (Query().With(Links.Names.Search, [ "nosuch>=1" ]).ToString())
                let page = render<Runs> context []
                Expect.hasLength (all "td.name" page) 0 "none"
                Expect.stringContains (all "p.problem" page).Head.TextContent "nosuch" "said")
        }

        test "an expression takes no longer for a text that would trap others" {
            let search = RunSearch.Of "/(a+)+$/"
            let trap = String('a', 40_000) + "!"

            let run = RunEntry(Id = trap, Status = RunEntry.Damaged, Version = 0L)

            Expect.isFalse (search.Fits run) "answers"
        }

        test "stages are a filter where there are several" {
            inCopy (fun folder ->
                let file = Path.Combine(folder, RunLayout.Runs, runOf folder "vq", RunLayout.Run)

                File.WriteAllText(
                    file,
                    (File.ReadAllText file).Replace("\"stage\": \"train\"", "\"stage\": \"import\"")
                )

                withContext folder (fun context _ ->
                    goTo context "?stage=autoencoder"
                    let page = render<Runs> context []
                    Expect.equal [ for row in all "td.name > a" page -> row.TextContent ] [ "tiny-dq" ] "filtered"
                    Expect.stringContains page.Markup "Stage" "offered"))
        }
    ]

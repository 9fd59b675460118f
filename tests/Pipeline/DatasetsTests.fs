/// `dq datasets`.
module DQ.Tests.Pipeline.DatasetsTests

open System.IO
open System.Text.Json.Nodes
open Expecto
open DQ.Core.Images
open DQ.Tests.Data.Samples
open DQ.Tests.Pipeline.Program
open DQ.Tests.TemporaryFolder

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Datasets" [
        test "data sets are listed, and shown with a sheet of their images, a class after the other" {
            inFolder (fun folder ->
                let pictures = Path.Combine(folder, "pictures")

                writeTree pictures [
                    for index in 0..5 do
                        $"dark/{index}.png", png 3 8 8 10
                        $"light/{index}.png", png 3 8 8 200
                ]

                let config = Path.Combine(folder, "set.json")

                File.WriteAllText(
                    config,
                    $$"""{ "data": { "source": "folder", "path": "{{pictures}}", "image_size": 8, "validation": 2, "test": 2 } }"""
                )

                let dq arguments =
                    run (arguments @ [ "--artifacts"; Path.Combine(folder, "artifacts") ])

                Expect.equal (dq [ "ingest"; config ]).ExitCode 0 "packed"
                let listed = dq [ "datasets"; "list"; "--json" ]
                Expect.equal listed.ExitCode 0 listed.Errors
                let sets = (nonNull (nonNull (JsonNode.Parse listed.Output)).["datasets"]).AsArray()
                Expect.hasLength sets 1 "one"
                Expect.equal ((nonNull (nonNull sets[0]).["train"]).GetValue<int>()) 8 "images to train on"

                let sheet = Path.Combine(folder, "sheet.png")
                let shown = dq [ "datasets"; "show"; "pictures"; "-o"; sheet; "--count"; "4" ]
                Expect.equal shown.ExitCode 0 shown.Errors
                Expect.stringContains shown.Output "class light" "classes"
                let image = ImageFile.Read sheet
                let zoom, padding = 8, 2

                let levels = [
                    for column in 0..3 ->
                        int (image.Plane(0).ToArray()[5 * image.Width + padding + column * (8 * zoom + padding) + 4])
                ]

                Expect.equal levels [ 10; 200; 10; 200 ] "in turn"

                for wrong, exitCode in
                    [
                        [ "datasets"; "show"; "nothing" ], 3
                        [ "datasets"; "show"; "pictures"; "--split"; "all" ], 2
                        [ "datasets"; "show"; "pictures"; "--count"; "0" ], 2
                    ] do
                    Expect.equal (dq wrong).ExitCode exitCode $"%A{wrong}")
        }
    ]

/// Readers of packed sets, codes, records and configurations.
module DQ.Tests.Fuzz.ArtifactReaders

open System
open System.IO
open System.Threading
open DQ.Core.Artifacts
open DQ.Core.Codes
open DQ.Core.Published
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.Fuzz.Target
open DQ.Tests.TemporaryFolder

let private packedSet =
    lazy
        (inFolder (fun folder ->
            Ingest.run
                (FileHashes())
                { leaves with Count = 12 }
                "set"
                (Path.Combine(folder, "set"))
                (fun _ _ -> ())
                CancellationToken.None
            |> ok
            |> ignore

            [
                for file in Directory.GetFiles(Path.Combine(folder, "set")) |> Array.sort ->
                    string (Path.GetFileName file), File.ReadAllBytes file
            ]))

let private readPacked (name: string) = {
    Name = $"packed set, {name}"
    Files = [
        for other, content in packedSet.Value do
            if other = name then
                content
    ]
    Read =
        fun folder content ->
            writeTree folder [
                for other, whole in packedSet.Value -> other, (if other = name then content else whole)
            ]

            Dataset.check (FileHashes()) folder
            |> Result.bind Dataset.open'
            |> Result.map (fun set ->
                use opened = set

                for part in [ set.Train; set.Validation; set.Test ] do
                    for index in 0 .. part.Images.Count - 1 do
                        part.Images[index].Length |> ignore)
}

let private codes =
    lazy
        (let header =
            CodesHeader(
                Model = String('a', 64),
                Run = "run",
                Channels = 3,
                Levels = [| CodesLevel(16, 2, 4, 2); CodesLevel(5, 1, 3, 4) |],
                Count = 2,
                Sizes = [| ImageSize(8, 6) |],
                Names = [| "1.png"; "2.png" |]
            )

         let image = [|
             Array.init 32 (fun place -> place % 16)
             Array.init 4 (fun place -> place % 5)
         |]

         written (fun path -> CodesFile.Write(path, header, [ image; image ])))

let private readCodes (path: string) =
    use file = CodesFile.Open path

    for image in 0 .. file.Header.Count - 1 do
        file.Read image |> ignore

let private runRecord =
    lazy
        (written (fun path ->
            ArtifactJson.Write(
                path,
                RunRecord(
                    Id = "2026-01-01-x-1234567",
                    Name = "x",
                    Variant = "dq",
                    Kind = RunKind.Train,
                    Status = RunStatus.Completed,
                    Fingerprint = "f",
                    Seed = 1L,
                    Config = Settings.toTree Settings.defaults,
                    Parents = [| Parent("dataset", "d", "f") |],
                    Software = SoftwareRecord("1", "2", "3", "4", "5"),
                    Device = "cpu",
                    Threads = 2,
                    StartedUtc = DateTime.UnixEpoch,
                    UpdatedUtc = DateTime.UnixEpoch,
                    Steps = 10L
                )
            )))

let private configuration =
    """{ "extends": null, "data": { "source": "dead_leaves", "image_size": 16, "validation": 0.1 }, // comment
      "model": { "codes": [32, 64], "quantizer": { "kind": "depthwise" } }, "training": { "steps": 10 },
      "variants": { "a": { "seed": 1 }, "b": null } }"""
    |> System.Text.Encoding.UTF8.GetBytes

let private ini =
    "[train]\ndataset: cifar10\nuse_amp = False\nEPOCHS = 30\n[model]\nchannel = 8\nn_hier = [8, 8]\n[test]\nmodel_path = best.pt\n"B

let readers =
    lazy
        [
            for name, _ in packedSet.Value do
                readPacked name
            throwing "codes" [ codes.Value ] readCodes
            throwing "run.json" [ runRecord.Value ] (fun path -> ArtifactJson.Read<RunRecord> path |> ignore)
            {
                Name = "configuration"
                Files = [ configuration ]
                Read = fun folder content -> Config.load (inFile folder "x.json" content) [] |> Result.map ignore
            }
            throwing "published INI" [ ini ] (fun path -> PublishedConfig.Read path |> Published.ofConfig |> ignore)
        ]

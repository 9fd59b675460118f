module DQ.Tests.Pipeline.EvaluateTests

open System
open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Formats
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Pipeline.Data
open DQ.Tests.Pipeline.Contexts
open DQ.Tests.Pipeline.TinyRuns
open DQ.Tests.TemporaryFolder

/// The evaluation of a run with these settings.
let private evaluate root (config: EvaluationConfig) (trained: Train.TrainedRun) =
    runOn (quiet root) (asArtifact trained) (Evaluate.stage RunKind.Train "tiny" config)

let private headlineOf record = nonNull (autoencoderOf record).Headline

let private numbers (evaluated: Result<Evaluate.EvaluatedRun, StageError>) : EvaluationRecord =
    match (get evaluated).Evaluation with
    | Evaluations.Evaluation.Autoencoder record -> record
    | Evaluations.Evaluation.Classifier _ -> failtest "expected an autoencoder"

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Evaluate" [
        test "evaluation lands in the run, is reused, and its numbers add up" {
            inFolder (fun root ->
                let variant = variant []
                let config = variant.Config.Evaluation
                let trained = train root None variant |> finished
                let run = trained

                let evaluate () = evaluate root config trained |> numbers

                let first = evaluate ()
                let headline = headlineOf (Store.read run.Folder)
                let test = first.Splits["test"]

                Expect.equal
                    (headline.Split, headline.Step, headline.TotalUniformBitsPerDim)
                    ("test", 30L, test.TotalUniformBitsPerDim)
                    "the headline in run.json"

                let file = Path.Combine(run.Folder, RunLayout.Evaluation)
                let written = File.GetLastWriteTimeUtc file
                Expect.equal (evaluate ()).Fingerprint first.Fingerprint "the same"
                Expect.equal (File.GetLastWriteTimeUtc file) written "not written again"

                // one that was made before version 0.2.0 is found by its former name, for the images it is of and no others
                let former =
                    Evaluations.formerFingerprint
                        config
                        RunKind.Train
                        (Store.read run.Folder)
                        run.Dataset.Record.Fingerprint

                let text = File.ReadAllText file
                File.WriteAllText(file, text.Replace(first.Fingerprint, former))
                Expect.equal (evaluate ()).Fingerprint former "the former one"

                let others =
                    DQ.Tests.Pipeline.Contexts.run
                        (quiet root)
                        (Pipelines.packed { variant.Config.Data with Seed = 9L })
                    |> get

                let elsewhere =
                    runOn
                        (quiet root)
                        (Evaluations.subject run.Folder (Store.read run.Folder) others)
                        (Evaluate.stage RunKind.Train "tiny" config)
                    |> numbers

                Expect.notEqual elsewhere.Dataset first.Dataset "other images"

                Expect.notEqual
                    elsewhere.Splits["test"].ReconstructionNatsPerDim
                    first.Splits["test"].ReconstructionNatsPerDim
                    "are evaluated"

                File.WriteAllText(file, text)

                for pair in first.Splits do
                    let split = pair.Value
                    let bits = split.ReconstructionNatsPerDim.Value / Math.Log 2.0
                    Expect.floatClose Accuracy.high split.ReconstructionBitsPerDim.Value bits "bits = nats / ln 2"

                    Expect.floatClose
                        Accuracy.high
                        split.TotalUniformBitsPerDim.Value
                        (bits + split.CodeRateUniformBitsPerDim)
                        "total = reconstruction + codes"

                    // 2 levels of 2 codebooks of 8 codes on 4 × 4 and 2 × 2 grids, 3 × 8 × 8 dimensions
                    Expect.floatClose
                        Accuracy.high
                        split.CodeRateUniformBitsPerDim
                        (2.0 * 3.0 * 20.0 / 192.0)
                        "the code rate"

                let codebooks =
                    ArtifactJson.Read<CodebooksRecord>(Path.Combine(run.Folder, RunLayout.Codebooks))

                let bottom = codebooks.Splits["test"].Levels[0]
                let images = first.Splits.["test"].Images
                Expect.equal bottom.Positions (images * 16L) "one count per position of every image"
                use arrays = SafeTensorsFile.Open(Path.Combine(run.Folder, CodebooksRecord.Tensors))
                let histogram = arrays.ReadArray<int64> bottom.Histogram
                Expect.sequenceEqual histogram.Shape [| 2L; 8L |] "codebooks, codes"
                Expect.equal (Array.sum histogram.Values) (2L * bottom.Positions) "all counted")
        }

        test "an evaluation leaves everything its pages show, and all of it agrees" {
            inFolder (fun root ->
                let variant =
                    variant [
                        "evaluation.samples=2"
                        "evaluation.extremes=2"
                        "evaluation.ablation_images=3"
                    ]

                let run = train root None variant |> finished

                let evaluation = evaluate root variant.Config.Evaluation run |> numbers

                let at (parts: string list) =
                    Path.Combine(List.toArray (run.Folder :: parts))

                let test = evaluation.Splits["test"]
                let codebooks = ArtifactJson.Read<CodebooksRecord>(at [ RunLayout.Codebooks ])
                use arrays = SafeTensorsFile.Open(at [ CodebooksRecord.Tensors ])

                for level in codebooks.Splits["test"].Levels do
                    let matrix = arrays.ReadArray<float>(nonNull level.MutualInformation).Values
                    let shown = test.Levels[level.Level]
                    Expect.floatClose Accuracy.high matrix[1] shown.MeanMutualInformationNats.Value "the one pair"
                    let map = arrays.ReadArray<float>(nonNull level.EntropyMap)

                    Expect.sequenceEqual
                        map.Shape
                        [| 2L; int64 level.GridHeight; int64 level.GridWidth |]
                        "entropy map"

                let ablation = nonNull codebooks.Ablation
                Expect.equal (ablation.Images, ablation.Codebooks.Count) (3L, 4) "limited, every codebook"

                let samples =
                    ArtifactJson.Read<SamplesRecord>(at [ RunLayout.Images; RunLayout.Samples ])

                Expect.equal
                    [ for image in samples.Images -> image.Selection ]
                    [ "first"; "first"; "worst"; "worst"; "best"; "best" ]
                    "images"

                Expect.equal (samples.Images |> Seq.distinctBy _.Index |> Seq.length) 6 "each once"

                Expect.equal
                    [ for view in samples.Views -> view.Name ]
                    [
                        "original"
                        "full"
                        "levels-1"
                        "levels-0"
                        "without-0-0"
                        "without-0-1"
                        "without-1-0"
                        "without-1-1"
                    ]
                    "views"

                for view in samples.Views do
                    let sheet = ImageFile.Read(at [ RunLayout.Images; view.File ])
                    Expect.equal (sheet.Width, sheet.Height) (6 * 8, 8) view.Name

                let psnr = nonNull samples.Full.PsnrDb
                Expect.isLessThan psnr[2] psnr[4] "worst are worse than best"
                Expect.isNotNull (samples.OfLevels(1, 0)) "all levels are the full one"
                Expect.isTrue (File.Exists(at [ RunLayout.Images; Samples.grid ])) "the picture"

                let original = ImageFile.Read(at [ RunLayout.Images; "original.png" ])
                use images = get (Dataset.open' run.Dataset)
                let third = images.Test.Images[samples.Images[2].Index]
                Expect.equal (original.Plane(0).Slice(16, 8).ToArray()) (third.Slice(0, 8).ToArray()) "its first row"

                use codes = SafeTensorsFile.Open(at [ RunLayout.Codes; RunLayout.SampleCodes ])
                Expect.sequenceEqual (codes.ReadArray<int> "level1").Shape [| 6L; 2L; 2L; 2L |] "codes"

                let atlas =
                    ArtifactJson.Read<AtlasRecord>(at [ RunLayout.Codes; AtlasRecord.FileName ])

                Expect.equal atlas.Images test.Images "all images looked at"
                use places = SafeTensorsFile.Open(at [ RunLayout.Codes; AtlasRecord.Tensors ])
                let images = places.ReadArray<int> "level0.image"
                Expect.sequenceEqual images.Shape [| 2L; 8L; 8L |] "codebooks, codes, patches"
                let histogram = (arrays.ReadArray<int64> "test.level0.histogram").Values

                for code in 0..15 do
                    Expect.equal (images.Values[8 * code] >= 0) (histogram[code] > 0L) "patches where it was chosen"

                for level in atlas.Levels do
                    for book in level.Codebooks do
                        Expect.isTrue (File.Exists(at [ RunLayout.Codes; book.File ])) book.File)
        }

        test "what is not asked for is not made" {
            inFolder (fun root ->
                let variant =
                    variant [
                        "evaluation.samples=0"
                        "evaluation.extremes=0"
                        "evaluation.ablation_images=0"
                        "evaluation.atlas_patches=0"
                        "training.sample_every=15"
                        "training.samples=3"
                    ]

                let run = train root None variant |> finished

                evaluate root variant.Config.Evaluation run |> numbers |> ignore

                let codebooks =
                    ArtifactJson.Read<CodebooksRecord>(Path.Combine(run.Folder, RunLayout.Codebooks))

                Expect.isNull codebooks.Ablation "no ablation"
                Expect.isEmpty (Directory.GetFiles(Path.Combine(run.Folder, RunLayout.Codes))) "no atlas, no codes"

                // but those of training, by step
                let steps = Path.Combine(run.Folder, RunLayout.Images, RunLayout.Steps)

                Expect.equal
                    (Directory.GetDirectories steps |> Array.map Path.GetFileName |> Array.sort)
                    [| "00000015"; "00000030" |]
                    "steps"

                let samples =
                    ArtifactJson.Read<SamplesRecord>(Path.Combine(steps, "00000015", RunLayout.Samples))

                Expect.equal (samples.Step, samples.Images.Count, samples.Views.Count) (15L, 3, 4) "what they show")
        }

        test "a run that someone works on is not evaluated" {
            inFolder (fun root ->
                let variant = variant []
                let run = train root None variant |> finished

                match RunLock.Take run.Folder with
                | Error error -> failtestf "%A" error
                | Ok held ->
                    use _ = held

                    match evaluate root variant.Config.Evaluation run with
                    | Error(Busy message) -> Expect.stringContains message run.Folder "which"
                    | other -> failtestf "expected to be refused, got %A" other)
        }
    ]

/// What an evaluation leaves in a run's folder of its codebooks: samples, codes, atlas, arrays.
module DQ.Pipeline.Examine

open System
open System.Collections.Generic
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Images
open DQ.Core.Weights

/// The split whose images are shown.
type Shown = {
    Split: string
    Images: PackedImages
    Evaluator: SplitEvaluator
    Atlas: PatchAtlas option
}

let private arrays (path: string) (entries: (string * Array) seq) =
    SafeTensorsFile.WriteArrays(path, [ for name, values in entries -> KeyValuePair(name, values) ])

let private writeSamples
    (config: EvaluationConfig)
    (folder: string)
    decoder
    (model: HierarchicalAutoencoder)
    step
    shown
    =
    let chosen = Samples.choose config.Samples config.Extremes shown.Evaluator.PsnrDb

    if chosen.Length > 0 then
        let parts = [| yield! CodePart.OfLevels model.Spec; yield! CodePart.Ablations model.Spec |]

        let images = Path.Combine(folder, RunLayout.Images)
        let sheets = Samples.write images decoder parts shown.Images shown.Split chosen step

        arrays (Path.Combine(folder, RunLayout.Codes, RunLayout.SampleCodes)) [
            for level, codes in Seq.indexed sheets.Codes -> $"level{level}", codes
        ]

let private writeAtlas (folder: string) step shown (atlas: PatchAtlas) =
    let codes = Path.Combine(folder, RunLayout.Codes)
    let drawn = atlas.Draw(step, shown.Split, shown.Images, shown.Evaluator.Histograms)

    for struct (file, sheet) in drawn.Sheets do
        ImageFile.WritePng(Path.Combine(codes, file), sheet)

    arrays (Path.Combine(codes, AtlasRecord.Tensors)) [ for pair in drawn.Arrays -> pair.Key, pair.Value ]
    ArtifactJson.Write(Path.Combine(codes, AtlasRecord.FileName), drawn.Record)

/// Writes everything. `ablated` are the images to leave codebooks out on, in batches.
let write
    (config: EvaluationConfig)
    (folder: string)
    (model: HierarchicalAutoencoder)
    step
    (evaluators: (string * SplitEvaluator) list)
    shown
    (ablated: TorchSharp.torch.Tensor seq)
    =
    Directory.CreateDirectory(Path.Combine(folder, RunLayout.Codes)) |> ignore
    use decoder = new PartialDecoder(model, shown.Evaluator.Histograms)
    writeSamples config folder decoder model step shown
    shown.Atlas |> Option.iter (writeAtlas folder step shown)

    let ablation =
        if config.AblationImages = 0 then
            null
        else
            Ablation.Of(decoder, shown.Split, ablated)

    let stored = Dictionary<string, Array>()
    let splits = Dictionary<string, SplitCodebooks>()

    for name, evaluator in evaluators do
        splits[name] <- evaluator.Codebooks(name, stored)

    arrays (Path.Combine(folder, CodebooksRecord.Tensors)) [ for pair in stored -> pair.Key, pair.Value ]

    ArtifactJson.Write(
        Path.Combine(folder, RunLayout.Codebooks),
        CodebooksRecord(Step = step, Splits = splits, Ablation = ablation)
    )

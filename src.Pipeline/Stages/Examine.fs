/// The files about codebooks that an evaluation writes into a run's folder: samples, codes, atlas, arrays.
module DQ.Pipeline.Stages.Examine

open System
open System.Collections.Generic
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Formats
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Training

/// The split whose images are shown.
type Shown = {
    Split: string
    Images: PackedImages
    /// The evaluator after all images of the split.
    Evaluator: SplitEvaluator
    /// The atlas after all images of the split; None if no atlas is wanted.
    Atlas: PatchAtlas option
}

/// Results that are computed and not written yet.
type Examined = {
    Shown: Shown
    Samples: (SampleImage[] * SampleSheets) option
    Atlas: DrawnAtlas option
    Codebooks: CodebooksRecord
    /// The arrays that the record names.
    Arrays: Dictionary<string, Array>
}

let private samples (config: EvaluationConfig) decoder (spec: AutoencoderSpec) shown =
    match Samples.choose config.Samples config.Extremes shown.Evaluator.PsnrDb with
    | [||] -> None
    | chosen ->
        let parts = [| yield! CodePart.OfLevels spec; yield! CodePart.Ablations spec |]
        Some(chosen, Samples.draw decoder parts shown.Images chosen)

/// `ablated` are the images, in batches, on which codebooks are left out.
let examine
    (config: EvaluationConfig)
    (model: HierarchicalAutoencoder)
    step
    (evaluators: (string * SplitEvaluator) list)
    shown
    (ablated: TorchSharp.torch.Tensor seq)
    =
    let histograms = shown.Evaluator.Histograms
    use decoder = new PartialDecoder(model, histograms)
    let arrays = Dictionary<string, Array>()
    let splits = Dictionary<string, SplitCodebooks>()

    for name, evaluator in evaluators do
        splits[name] <- evaluator.Codebooks(name, arrays)

    let ablation =
        if config.AblationImages = 0 then
            null
        else
            Ablation.Of(decoder, shown.Split, ablated)

    {
        Shown = shown
        Samples = samples config decoder model.Spec shown
        Atlas =
            shown.Atlas
            |> Option.map (fun atlas -> atlas.Draw(step, shown.Split, shown.Images, histograms))
        Codebooks = CodebooksRecord(Step = step, Splits = splits, Ablation = ablation)
        Arrays = arrays
    }

let private writeAtlas (codes: string) (atlas: DrawnAtlas) =
    for struct (file, sheet) in atlas.Sheets do
        ImageFile.WritePng(Path.Combine(codes, file), sheet)

    SafeTensorsFile.WriteArrays(Path.Combine(codes, AtlasRecord.Tensors), atlas.Arrays)
    ArtifactJson.Write(Path.Combine(codes, AtlasRecord.FileName), atlas.Record)

/// Writes the results into a run's folder.
let write (folder: string) examined =
    let codes = Path.Combine(folder, RunLayout.Codes)
    let shown = examined.Shown
    Directory.CreateDirectory codes |> ignore

    match examined.Samples with
    | None -> ()
    | Some(chosen, sheets) ->
        let images = Path.Combine(folder, RunLayout.Images)
        Samples.write images shown.Images shown.Split chosen examined.Codebooks.Step sheets

        let levels = [
            for level, codes in Seq.indexed sheets.Codes -> KeyValuePair($"level{level}", codes)
        ]

        SafeTensorsFile.WriteArrays(Path.Combine(codes, RunLayout.SampleCodes), levels)

    examined.Atlas |> Option.iter (writeAtlas codes)
    SafeTensorsFile.WriteArrays(Path.Combine(folder, CodebooksRecord.Tensors), examined.Arrays)
    ArtifactJson.Write(Path.Combine(folder, RunLayout.Codebooks), examined.Codebooks)

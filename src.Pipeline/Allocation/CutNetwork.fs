/// A network that is cut behind a layer, and the features of images at this layer.
module DQ.Pipeline.Allocation.CutNetwork

open System
open System.IO
open DQ.Core
open DQ.Core.Artifacts
open DQ.Core.BitAllocation
open DQ.Core.Features
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling
open TorchSharp

/// The origin of a network.
type Source =
    /// A torchvision network with the weights of a file.
    | Torchvision of name: string * file: string
    /// The run of a classifier and its checkpoint.
    | Trained of run: RunRecord * checkpoint: string

/// The subject of both stages, without the images.
type Subject = {
    /// Name of the run.
    Name: string
    Source: Source
    Data: DataConfig
    Config: AllocationConfig
    Seed: int64
    /// Name in messages.
    ConfigFile: string
}

/// The network, its cut, and the first part's output for some images.
type Cut(network: LayeredNetwork, layer: int) =
    member _.Network = network
    member _.Front(pixels: torch.Tensor) = network.Front(pixels, layer)

    member _.Back =
        Func<torch.Tensor, torch.Tensor>(fun features -> network.Back(features, layer))

    interface IDisposable with
        member _.Dispose() = network.Dispose()

let parent (hashes: FileHashes) source =
    match source with
    | Torchvision(_, file) -> Parent("file", nonNull (Path.GetFileName file), hashes.Sha256 file)
    | Trained(run, checkpoint) ->
        let which = nonNull (Path.GetFileName checkpoint)
        Parent("run", run.Id, Fingerprint.ofParts [ run.Fingerprint; which ])

let private name source =
    match source with
    | Torchvision(name, _) -> name
    | Trained(run, _) when run.Variant = "" -> run.Name
    | Trained(run, _) -> $"{run.Name}-{run.Variant}"

let quantizer (config: AllocationConfig) =
    ChannelQuantizers.Create(config.Quantizer, config.LogBase)

/// The subject of an interval table; `parent` is that of the network.
let intervalSubject (subject: Subject) (parent: Parent) =
    IntervalSubject(
        $"{name subject.Source}-{parent.Fingerprint[..11]}",
        subject.Config.Layer,
        (quantizer subject.Config).Name
    )

let private problem subject key message =
    Error(
        Configuration [
            {
                File = subject.ConfigFile
                Key = $"allocation.{key}"
                Message = message
            }
        ]
    )

let private load (device: torch.Device) source =
    match source with
    | Torchvision(name, file) -> TorchvisionClassifier.Load(name, file, device)
    | Trained(_, checkpoint) -> TrainedClassifier.Load(name source, checkpoint, device)

/// Loads the network and finds the layer. The caller disposes it.
let openCut (subject: Subject) device : Result<Cut, StageError> =
    let network = load device subject.Source
    let layer = network.IndexOf subject.Config.Layer

    if layer >= 0 && layer < network.Layers.Count - 1 then
        Ok(new Cut(network, layer))
    else
        let known = Seq.take (network.Layers.Count - 1) network.Layers |> String.concat ", "

        network.Dispose()
        problem subject "layer" $"expected one of {known}, got '{subject.Config.Layer}'"

/// Streams of the seed.
let private calibrationStream, private testStream = 1L, 2L

/// Draws the indices of a number of images.
let private drawn (subject: Subject) stream count (images: PackedImages) =
    let order = Array.zeroCreate images.Count
    let mutable random = SplitMix64(subject.Seed, stream)
    random.Permute(Span order)
    Array.truncate count order

/// Maps (N, C, H, W) of these images.
let private features
    (context: StageContext)
    (subject: Subject)
    (cut: Cut)
    split
    (images: PackedImages)
    (places: int[])
    =
    let maps = ResizeArray<torch.Tensor>()

    try
        for batch in Array.chunkBySize subject.Config.BatchSize places do
            context.Cancellation.ThrowIfCancellationRequested()
            use pixels = images.Gather(ReadOnlySpan batch)
            maps.Add((cut.Front pixels).DetachFromDisposeScope())

            let seen =
                min (int64 places.Length) (int64 maps.Count * int64 subject.Config.BatchSize)

            context.Progress(Report.counted $"{subject.Config.Layer} of {split}" "images" seen (int64 places.Length))

        torch.cat (maps.ToArray())
    finally
        for map in maps do
            map.Dispose()

let private checked' (subject: Subject) (maps: torch.Tensor) =
    let shape = maps.shape

    if shape.Length <> 4 then
        maps.Dispose()
        let sizes = shape[1..] |> Array.map string |> String.concat ", "

        problem
            subject
            "layer"
            $"expected a layer whose output has channels, rows and columns, '{subject.Config.Layer}' has ({sizes})"
    elif
        not (quantizer subject.Config).TakesNegative
        && maps.min().item<float32>() < 0.0f
    then
        maps.Dispose()

        problem
            subject
            "quantizer"
            $"expected uniform for layer '{subject.Config.Layer}', which has values below 0, got '{subject.Config.Quantizer}'"
    else
        Ok maps

/// Features of calibration images; the caller disposes them.
let calibration context (subject: Subject) (dataset: OpenDataset) (cut: Cut) : Result<torch.Tensor, StageError> =
    let images = dataset.Train.Images

    if images.Count = 0 then
        Error(Data $"{dataset.Folder}: expected training images to calibrate on, found none")
    else
        drawn subject calibrationStream subject.Config.CalibrationImages images
        |> features context subject cut "train" images
        |> checked' subject

/// Images for measuring.
type TestFeatures = {
    Split: string
    /// Indices in the split.
    Places: int[]
    /// (N, C, H, W); the caller disposes it.
    Features: torch.Tensor
    /// Class of each image; None without classes.
    Labels: int[] option
}

let test context (subject: Subject) (dataset: OpenDataset) (cut: Cut) : Result<TestFeatures, StageError> =
    result {
        let! split, part =
            if dataset.Test.Images.Count > 0 then
                Ok("test", dataset.Test)
            elif dataset.Validation.Images.Count > 0 then
                Ok("validation", dataset.Validation)
            else
                Error(Data $"{dataset.Folder}: expected test or validation images to measure on, found none")

        let places = drawn subject testStream subject.Config.TestImages part.Images

        return {
            Split = split
            Places = places
            Features = features context subject cut split part.Images places
            Labels =
                part.Labels
                |> Option.map (fun labels -> places |> Array.map (fun place -> labels[place]))
        }
    }

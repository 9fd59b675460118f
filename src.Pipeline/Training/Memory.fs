/// Estimates the memory for training from the shapes of the model's maps, for plans and for advice when memory runs
/// out.
module DQ.Pipeline.Training.Memory

open DQ.Core.Autoencoders
open DQ.Core.Likelihoods
open DQ.Pipeline

/// Memory of the program with libtorch, without training.
let private baseBytes = 350L * 1024L * 1024L

/// Weights, gradients and two moments, four bytes each.
let private bytesPerParameter = 16L

/// Maps are kept for the backward pass, and their gradients exist for some time.
let private gradientShare = 1.3

/// Number of maps of the decoder's size that the likelihoods' losses keep.
let private lossMaps (likelihood: LikelihoodSpec) =
    if likelihood.Kind = "squared_error" then 3.0 else 5.0

let private bytesPerImage (spec: AutoencoderSpec) outputChannels (height: int) (width: int) =
    let area = float (spec.PaddedSide height) * float (spec.PaddedSide width)
    let channels = float spec.Channels
    let blocks = float spec.ResidualBlocks
    let ratio = float spec.ResidualChannels / channels

    /// Floats kept by one encoder or decoder block on maps whose width is the image's divided by the stride and by
    /// 2^halvings.
    let block stride =
        channels * area / (stride * stride) * (4.0 + blocks * (2.0 + 2.0 * ratio))

    let strideOf halvings =
        float spec.Stride * float (pown 2 halvings)

    let encoders = [
        for halvings in 0 .. spec.CoderBlocks - 1 -> block (strideOf halvings)
        for level in 1 .. spec.Levels - 1 -> block (strideOf (spec.CoderBlocks - 1 + level))
    ]

    let upsamplers = [
        for level in 0 .. spec.Levels - 1 do
            for halvings in 0 .. spec.CoderBlocks - 2 + min level 1 -> block (strideOf halvings)
    ]

    let decoder = block (float spec.Stride) + 2.0 * channels * area + block 1.0
    let output = float outputChannels * area * lossMaps spec.Likelihood

    4.0
    * gradientShare
    * (List.sum encoders + List.sum upsamplers + decoder + output)

/// Codes and the sums of which they are the means.
let private codebookBytes (spec: AutoencoderSpec) =
    8L
    * int64 spec.Codebooks
    * int64 spec.CodeWidth
    * Seq.sumBy int64 spec.CodeCounts

/// Bytes of the program and of a model with this number of parameters in training, without maps.
let ofParameters (parameters: int64) : int64 =
    baseBytes + parameters * bytesPerParameter

/// Peak bytes of a training step.
let estimate (spec: AutoencoderSpec) parameters outputChannels (images: int) height width : int64 =
    ofParameters parameters
    + codebookBytes spec
    + int64 (float images * bytesPerImage spec outputChannels height width)

/// The largest power of two that fits; None if not even one image fits.
let fittingBatch (spec: AutoencoderSpec) parameters outputChannels height width (available: int64) : int option =
    Seq.initInfinite (pown 2)
    |> Seq.takeWhile (fun batch ->
        batch <= 65536
        && estimate spec parameters outputChannels batch height width <= available)
    |> Seq.tryLast

/// Bytes of memory of the machine or the container, and the free bytes.
let ofMachine () : int64 * int64 =
    let info = System.GC.GetGCMemoryInfo()
    let total = info.TotalAvailableMemoryBytes

    let available =
        try
            System.IO.File.ReadLines "/proc/meminfo"
            |> Seq.tryFind (fun line -> line.StartsWith "MemAvailable:")
            |> Option.map (fun line -> 1024L * int64 (line.Split(' ', System.StringSplitOptions.RemoveEmptyEntries)[1]))
        with :? System.IO.IOException ->
            None

    total, available |> Option.defaultValue (total - info.MemoryLoadBytes) |> min total

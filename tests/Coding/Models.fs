/// Frozen models and pictures for tests.
module DQ.Tests.Coding.Models

open System
open DQ.Core.Coding
open DQ.Core.Images
open DQ.Core.Likelihoods.Context

/// A standard normal number (Box–Muller).
let private normal (random: Random) =
    sqrt (-2.0 * log (1.0 - random.NextDouble()))
    * cos (2.0 * Math.PI * random.NextDouble())

/// Random weights with the sizes that trained ones have.
let weights (spec: ContextSpec) (seed: int) =
    let layer number inputs outputs scale =
        let random = Random(1000 * seed + number)
        let weight = [| for _ in 1 .. inputs * outputs -> float32 (scale * normal random) |]
        let bias = [| for _ in 1..outputs -> float32 (0.1 * normal random) |]
        ContextLayer(inputs, outputs, weight, bias)

    let width = spec.Width
    let hidden = sqrt (1.5 / float width)

    ContextWeights(
        spec,
        layer 0 spec.Inputs width (sqrt (1.0 / float spec.Inputs)),
        [| for depth in 1 .. spec.Depth -> layer depth width width hidden |],
        layer 100 width spec.Outputs (0.3 * hidden)
    )

/// A picture with edges, slopes and noise.
let picture channels height width (seed: int) =
    let random = Random seed
    let image = PixelImage(channels, height, width)
    let slope = float (random.Next 100) / 50.0

    for channel in 0 .. channels - 1 do
        for row in 0 .. height - 1 do
            for column in 0 .. width - 1 do
                let step = if column > width / 2 then 60.0 else 0.0
                let value = 60.0 + slope * float (row + column) + step + 4.0 * normal random
                image.Bytes[(channel * height + row) * width + column] <- byte (Math.Clamp(value, 0.0, 255.0))

    image

let noise channels height width (seed: int) =
    let random = Random seed
    let image = PixelImage(channels, height, width)

    for i in 0 .. image.Bytes.Length - 1 do
        image.Bytes[i] <- byte (random.Next 256)

    image

/// A picture's pixels with their margins.
let internal pixels radius (images: PixelImage list) =
    let result =
        ContextPixels([| for image in images -> struct (image.Width, image.Height) |], images[0].Channels, radius)

    for index, image in Seq.indexed images do
        LosslessPicture(null, image, null, Nullable(), null)
            .CopyTo(result, index, ChunkPiece(index, false, image.Width, 0, image.Height))

    result

let freeze (spec: ContextSpec) seed =
    ContextFreezer.Freeze(weights spec seed, pixels spec.Radius [ picture spec.Channels 40 40 seed ])

let small channels =
    ContextSpec(Channels = channels, Width = 20, Mixtures = 5)

/// Small models, of each number of channels.
let models = lazy CodingModels(freeze (small 3) 1, freeze (small 1) 2)

module DQ.Tests.Coding.FrozenContextTests

open System
open System.IO
open Expecto
open DQ.Core.Coding
open DQ.Core.Images
open DQ.Core.Likelihoods.Context
open DQ.Tests.Coding.Models
open DQ.Tests.Fixtures

/// The head in doubles, written from the formulas of the documents: −log₂ of each picture's probability, in bits.
module private Floats =
    let private logistic z = 1.0 / (1.0 + exp -z)

    let private applied (layer: ContextLayer) (x: float[]) = [|
        for row in 0 .. layer.Outputs - 1 ->
            float layer.Bias[row]
            + Seq.sum (Seq.init layer.Inputs (fun i -> float layer.Weight[row * layer.Inputs + i] * x[i]))
    |]

    let private relu = Array.map (max 0.0)

    let private net (weights: ContextWeights) x =
        let first = weights.Hidden[0]
        let hidden = relu (applied first (relu (applied weights.Enter x)))

        (hidden, Seq.skip 1 weights.Hidden)
        ||> Seq.fold (fun h layer -> Array.map2 (+) h (relu (applied layer h)))
        |> applied weights.Leave

    let private pixelBits (weights: ContextWeights) (at: int -> int -> int -> float) (value: int -> int) =
        let spec = weights.Spec
        let c, radius, k = spec.Channels, spec.Radius, spec.Mixtures
        let scaled v = v / 127.5 - 1.0
        let known row column channel = scaled (at row column channel)
        let perChannel f = Array.init c f

        let prediction =
            perChannel (fun ch ->
                let w, n, nw = known 0 -1 ch, known -1 0 ch, known -1 -1 ch
                max (min w n) (min (max w n) (w + n - nw)))

        let contrast =
            perChannel (fun ch ->
                let w, n, nw = known 0 -1 ch, known -1 0 ch, known -1 -1 ch
                let ne, ww, nn = known -1 1 ch, known 0 -2 ch, known -2 0 ch
                (abs (w - nw) + abs (n - nw) + abs (n - ne) + abs (w - ww) + abs (n - nn)) / 5.0)

        let sigma =
            contrast
            |> Array.map (fun s -> 0.5 * s + 0.5 * Array.average contrast + spec.ContrastFloor)

        let inputs = [|
            for row in -radius .. 0 do
                for column in -radius .. (if row < 0 then radius else -1) do
                    let d = perChannel (fun ch -> known row column ch - prediction[ch])
                    let d = if c = 3 then [| d[0] - d[1]; d[1]; d[2] - d[1] |] else d

                    for ch in 0 .. c - 1 do
                        0.7 * Math.Clamp(d[ch] / sigma[ch], -8.0, 8.0)

            yield! prediction
            yield! perChannel (fun ch -> (known 0 -1 ch - known -1 0 ch) / sigma[ch])
            yield! perChannel (fun ch -> (known -1 0 ch - known -1 -1 ch) / sigma[ch])
            yield! Array.map log sigma
        |]

        let o = net weights inputs
        let largest = Array.max o[.. k - 1]
        let total = Seq.sumBy (fun i -> exp (o[i] - largest)) [ 0 .. k - 1 ]

        let past = perChannel (fun ch -> scaled (float (value ch)) - prediction[ch])

        let channelMass i ch =
            let unit = 0.6 * sigma[ch]

            let share earlier =
                tanh o[k * (1 + 2 * c + ch * (ch - 1) / 2 + earlier) + i] * past[earlier]

            let mean =
                prediction[ch] + o[k * (1 + ch) + i] * unit + Seq.sumBy share [ 0 .. ch - 1 ]

            let scale = exp (Math.Clamp(o[k * (1 + c + ch) + i] + log unit, -7.5, 2.0))
            let v = value ch

            let edge side =
                logistic ((scaled (float v) - mean + side / 255.0) / scale)

            (if v = 255 then 1.0 else edge 1.0) - (if v = 0 then 0.0 else edge -1.0)

        let start = Array.init k (fun i -> exp (o[i] - largest) / total)

        // what every value gets at least, and what every component keeps, count for colors that no component expects
        let step (weights: float[], bits) ch =
            let masses = Array.init k (fun i -> channelMass i ch)
            let mass = Seq.sum (Seq.map2 (*) weights masses)
            let coded = mass * (1.0 - 2.0 ** -16.0) + 2.0 ** -24.0

            let kept =
                Array.map2 (fun weight mass -> weight * (mass + 2.0 ** -28.0)) weights masses

            let sum = Array.sum kept
            Array.map (fun weight -> weight / sum) kept, bits - Math.Log2 coded

        ((start, 0.0), [ 0 .. c - 1 ]) ||> List.fold step |> snd

    let bits (weights: ContextWeights) (image: PixelImage) =
        let channel (row: int) column ch =
            float image.Bytes[(ch * image.Height + row) * image.Width + column]

        // right of a row its last pixel, left of it the first of the row above, above it 128
        let rec at row column ch =
            if row < 0 || (row = 0 && column < 0) then 128.0
            elif column < 0 then channel (row - 1) 0 ch
            else channel row (min column (image.Width - 1)) ch

        Seq.sum (
            seq {
                for row in 0 .. image.Height - 1 do
                    for column in 0 .. image.Width - 1 do
                        pixelBits weights (fun r c ch -> at (row + r) (column + c) ch) (fun ch ->
                            int image.Bytes[(ch * image.Height + row) * image.Width + column])
            }
        )

let private refused message (act: unit -> unit) =
    Expect.throwsC act (fun error ->
        Expect.isTrue (error :? InvalidDataException || error :? ArgumentException) $"{error.GetType().Name}"
        Expect.stringContains error.Message message "reason"
        Expect.isFalse (error.Message.Contains '\n') "one line")

[<Tests>]
let tests =
    testList "Coding.FrozenContext" [
        for channels, depth, radius in [ 3, 1, 3; 1, 1, 3; 3, 3, 2; 1, 2, 4 ] do
            test $"integers cost within 0.003 bits/dim of floats: {channels} channels, depth {depth}, radius {radius}" {
                let spec =
                    ContextSpec(Channels = channels, Width = 40, Depth = depth, Radius = radius, Mixtures = 6)

                let weights = weights spec 3
                let images = [ picture channels 24 24 5; picture channels 17 9 6 ]

                let frozen =
                    ContextFreezer.Freeze(weights, pixels radius [ picture channels 40 40 3 ])

                let dims = images |> List.sumBy _.Bytes.Length |> float

                let integers =
                    ContextCoder.Fixed(frozen).Bits(pixels radius images, Threading.CancellationToken.None)
                    / dims

                let floats = (images |> List.sumBy (Floats.bits weights)) / dims
                Expect.isLessThan (abs (integers - floats)) 0.003 $"{integers} and {floats} bits/dim"
            }

        test "a packed model is the same model" {
            let model = freeze (small 3) 4
            let read = FrozenContextFile.Read(ReadOnlySpan(FrozenContextFile.Write model))
            Expect.equal read.Hash model.Hash "hash"
            Expect.equal read.Spec model.Spec "spec"
            Expect.notEqual (freeze (small 3) 5).Hash model.Hash "other weights, other hash"
        }

        test "a damaged model is refused in one line" {
            let model = freeze (small 1) 4
            let packed = FrozenContextFile.Write model

            for length in 0..7 .. packed.Length - 1 do
                refused "" (fun () -> FrozenContextFile.Read(ReadOnlySpan(packed, 0, length)) |> ignore)

            let random = Random 5

            for _ in 1..300 do
                let changed = mutate random packed.Length [| 0uy; 255uy |] packed

                // bits that fill up the last byte mean nothing
                try
                    let read = FrozenContextFile.Read(ReadOnlySpan changed)
                    Expect.equal read.Hash model.Hash "the same content"
                with :? InvalidDataException as error ->
                    Expect.isFalse (error.Message.Contains '\n') "one line"
        }

        test "weights whose sums could overflow are refused" {
            let model = freeze (small 1) 4
            let layer = model.Leave

            let heavy =
                FrozenLayer(
                    layer.Inputs,
                    layer.Outputs,
                    Array.create layer.Weights.Length 32767s,
                    layer.Bias,
                    layer.Shift
                )

            refused "overflow" (fun () ->
                FrozenContext(model.Spec, model.Floor, model.Enter, model.Hidden, heavy)
                |> ignore)
        }

        test "what can't be frozen is said" {
            let spec = ContextSpec(Channels = 1, Width = 8, ContrastFloor = 1e-5)

            refused "contrast_floor" (fun () ->
                ContextFreezer.Freeze(weights spec 1, pixels 3 [ picture 1 8 8 1 ]) |> ignore)

            let infinite = weights (small 1) 1
            infinite.Leave.Weight[3] <- Single.NaN
            refused "finite" (fun () -> ContextFreezer.Freeze(infinite, pixels 3 [ picture 1 8 8 1 ]) |> ignore)
        }

        test "the built-in models have at most 300 KB" {
            let sizes = [
                for model in [ BuiltInModels.All.Color; BuiltInModels.All.Gray ] ->
                    (FrozenContextFile.Write(nonNull model)).Length
            ]

            Expect.isLessThanOrEqual (List.sum sizes) 300_000 $"{sizes}"
        }
    ]

module DQ.Tests.Coding.KernelTests

#nowarn "9"

open System
open System.Runtime.Intrinsics
open Expecto
open FsCheck
open Microsoft.FSharp.NativeInterop
open DQ.Core.Coding
open DQ.Core.Likelihoods.Context
open DQ.Tests.Coding.Models

/// Outputs of a net for random inputs, the same for the same seed.
let private outputs (net: ContextNet) pixels =
    let random = Random 9

    for i in 0 .. pixels * net.InputStride - 1 do
        NativePtr.set net.Inputs i (int16 (random.Next 65535 - 32767))

    net.Run pixels

    [|
        for pixel in 0 .. pixels - 1 do
            for output in 0 .. net.Model.Spec.Outputs - 1 do
                NativePtr.get net.Outputs (pixel * net.OutputStride + output)
    |]

let private nets (model: FrozenContext) : (string * ContextNet) list = [
    "plain", ContextNet<int, Lanes1> model
    if Lanes128.IsSupported then
        "128 bits", ContextNet<Vector128<int>, Lanes128> model
    if Lanes256.IsSupported then
        "256 bits", ContextNet<Vector256<int>, Lanes256> model
    if Lanes512.IsSupported then
        "512 bits", ContextNet<Vector512<int>, Lanes512> model
]

/// The outputs of the same inputs, computed plainly from all units.
let private plainOutputs (model: FrozenContext) (inputs: int[]) =
    let sums (layer: FrozenLayer) (values: int[]) =
        Array.init layer.Outputs (fun row ->
            Seq.sum (seq { for i in 0 .. layer.Inputs - 1 -> int layer.Weights[row * layer.Inputs + i] * values[i] })
            + layer.Bias[row])

    let activated (layer: FrozenLayer) values =
        sums layer values
        |> Array.map (fun sum -> min (max sum 0 >>> layer.Shift) FrozenContext.LargestActivation)

    let first = activated model.Hidden[0] (activated model.Enter inputs)

    (first, Seq.tail model.Hidden)
    ||> Seq.fold (fun values layer ->
        Array.map2
            (fun value more -> min (value + more) FrozenContext.LargestActivation)
            values
            (activated layer values))
    |> sums model.Leave

/// A head of which a third of the units is never above 0.
let private withDeadUnits (spec: ContextSpec) seed =
    let cut (layer: ContextLayer) =
        ContextLayer(
            layer.Inputs,
            layer.Outputs,
            layer.Weight,
            layer.Bias |> Array.mapi (fun row bias -> if row % 3 = 1 then -1e4f else bias)
        )

    let weights = weights spec seed

    ContextWeights(spec, cut weights.Enter, [| for layer in weights.Hidden -> cut layer |], weights.Leave)

let private learned (model: FrozenContext) =
    LearnedCorrections(MixtureTerms.PaddedOf model, model.Spec.Channels)

/// Corrections that have learned something at random, and are those of a pixel.
let private corrections (model: FrozenContext) (contrasts: nativeptr<int>) seed =
    let random = Random seed
    let learned = learned model

    let weights () =
        Array.init (MixtureTerms.PaddedOf model) (fun _ -> random.Next(1 <<< 24))

    for _ in 1..50 do
        learned.Begin contrasts

        for channel in 0 .. model.Spec.Channels - 1 do
            let start = random.Next((1 <<< 24) - 1)
            learned.Learn(channel, uint32 start, uint32 (1 + random.Next((1 <<< 24) - start)))

        use before = fixed (weights ())
        use after = fixed (weights ())
        learned.Learn(before, after)

    learned.Begin contrasts
    learned

let private checkFrequencies () =
    let model = freeze (small 3) 12
    let mixture = PixelMixture(model, learned model)
    let net = ContextNet.For model
    outputs net 20 |> ignore
    let predictions = [| 0; 128; 255 |]
    let contrasts = [| 0; 700; ContrastTables.Largest |]
    use predictions = fixed predictions
    use contrasts = fixed contrasts

    for pixel in 0..19 do
        mixture.Begin(NativePtr.add net.Outputs (pixel * net.OutputStride), predictions, contrasts)

        for channel in 0..2 do
            let mutable next = 0u

            for value in 0..255 do
                let struct (start, frequency) = mixture.Take value
                Expect.equal start next "no gap"
                Expect.isGreaterThan frequency 0u "at least 1"
                next <- start + frequency

                for slot in [ start; start + frequency - 1u ] do
                    let mutable foundStart, foundFrequency = 0u, 0u
                    let found = mixture.Find(slot, &foundStart, &foundFrequency)
                    Expect.equal (found, foundStart, foundFrequency) (value, start, frequency) "found"

            Expect.equal next (1u <<< PixelMixture.FrequencyBits) "sum"
            let value = 40 * channel + pixel
            mixture.Take value |> ignore
            mixture.Next value

let private checkTerms () =
    for spec in [ small 3; small 1; ContextSpec(Width = 16, Mixtures = 7) ] do
        let model = freeze spec 13
        let net = ContextNet.For model
        outputs net 30 |> ignore
        let random = Random 3

        for pixel in 0..29 do
            let predictions = Array.init 3 (fun _ -> random.Next 256)
            let contrasts = Array.init 3 (fun _ -> random.Next(ContrastTables.Largest + 1))
            use predictions = fixed predictions
            use contrasts = fixed contrasts
            let at = NativePtr.add net.Outputs (pixel * net.OutputStride)

            let read fill =
                let terms = MixtureTerms model
                fill terms (corrections model contrasts pixel :> MixtureCorrections)

                [
                    for channel in 0 .. spec.Channels - 1 do
                        for k in 0 .. spec.Mixtures - 1 do
                            NativePtr.get terms.Weights k
                            NativePtr.get (terms.Means channel) k
                            NativePtr.get (terms.Inverses channel) k

                            for earlier in 0 .. channel - 1 do
                                NativePtr.get (terms.Shares(channel, earlier)) k
                ]

            if LogisticSum.HasVectors then
                Expect.equal
                    (read (fun (terms: MixtureTerms) learned -> terms.Vectors(at, predictions, contrasts, learned)))
                    (read (fun terms learned -> terms.Plain(at, predictions, contrasts, learned)))
                    $"pixel {pixel}"

let private checkChannels () =
    let model = freeze (small 3) 12
    let contrasts = [| 40; 40; 40 |]
    use contrasts = fixed contrasts

    /// After 5,000 values between these parts of their distribution.
    let after low high =
        let learned = learned model
        let random = Random 7

        for _ in 1..5000 do
            learned.Begin contrasts
            let start = random.Next(int (low * 16_777_216.0), int (high * 16_777_216.0))
            learned.Learn(1, uint32 start, 1u)

        learned.Begin contrasts
        float (learned.Mean 1) / 65536.0, float (learned.LogScale 1) / 65536.0

    let mean, scale = after 0.0 1.0
    Expect.isLessThan (abs mean) 0.3 "nothing to correct"
    Expect.isLessThan (abs scale) 0.3 "nothing to correct"
    let mean, scale = after 0.25 0.75
    Expect.isLessThan (abs mean) 0.3 "in the middle"
    Expect.isLessThan scale -1.0 "too wide"
    let mean, _ = after 0.4 1.0
    Expect.isGreaterThan mean 0.9 "too low"

let private checkWeights () =
    let learned = learned (freeze (small 3) 12)
    let before = [| 1 <<< 23; 1 <<< 23; 0; 0; 0; 0; 0; 0 |]
    let after = [| 3 <<< 22; 1 <<< 22; 0; 0; 0; 0; 0; 0 |]
    let contrasts, others = [| 40; 40; 40 |], [| 4000; 4000; 4000 |]
    use before = fixed before
    use after = fixed after
    use contrasts = fixed contrasts
    use others = fixed others

    for _ in 1..10 do
        learned.Begin contrasts
        learned.Learn(before, after)

    learned.Begin contrasts
    let more = NativePtr.get learned.Weights 0
    Expect.isGreaterThan more 0 "more"
    Expect.equal (NativePtr.get learned.Weights 1) -more "less"
    learned.Begin others
    Expect.equal (NativePtr.get learned.Weights 0) 0 "another class"
    learned.Reset()
    learned.Begin contrasts
    Expect.equal (NativePtr.get learned.Weights 0) 0 "another stream"

[<Tests>]
let tests =
    testList "Coding.Kernels" [
        test "products are the same for all instruction sets" {
            for spec in [ small 3; small 1; ContextSpec(Width = 33, Depth = 3, Mixtures = 7) ] do
                let model = freeze spec 11
                let all = nets model

                for pixels in [ 1; 5; 6; 50; ContextNet.BatchPixels ] do
                    let expected = outputs (snd all[0]) pixels

                    for name, net in List.tail all do
                        Expect.equal (outputs net pixels) expected $"{name}, {pixels} pixels"
        }

        test "units that are never above 0 are left out, and change nothing" {
            for depth in [ 1; 3 ] do
                let spec = ContextSpec(Width = 33, Depth = depth, Mixtures = 3)
                let model = ContextFreezer.Freeze(withDeadUnits spec 5)
                let live = LiveUnits model
                Expect.equal live.Enter.Outputs 22 "two thirds enter"
                Expect.isLessThanOrEqual live.Leave.Inputs 22 "two thirds leave"
                let net = ContextNet.For model
                let actual = outputs net 7 |> Array.chunkBySize spec.Outputs

                for pixel in 0..6 do
                    let inputs =
                        Array.init spec.Inputs (fun i -> int (NativePtr.get net.Inputs (pixel * net.InputStride + i)))

                    Expect.equal actual[pixel] (plainOutputs model inputs) $"pixel {pixel}"
        }

        testProperty "logistic sums are the same with and without vectors"
        <| fun (seed: int) ->
            let count = 12
            let random = Random seed
            let means = Array.init count (fun _ -> random.Next(1 <<< 26) - (1 <<< 25))
            let inverses = Array.init count (fun _ -> random.Next(1 <<< 24))
            let weights = Array.init count (fun _ -> random.Next(1 <<< 21))
            let edge = random.Next(1 <<< 24)
            let plain, vectors = Array.zeroCreate count, Array.zeroCreate count
            use means = fixed means
            use inverses = fixed inverses
            use weights = fixed weights
            use plainEnds = fixed plain
            use vectorEnds = fixed vectors
            let one = LogisticSum.Plain(edge, means, inverses, weights, count, plainEnds)

            if LogisticSum.HasVectors then
                let other = LogisticSum.Vectors(edge, means, inverses, weights, count, vectorEnds)
                Expect.equal (other, vectors) (one, plain) $"edge {edge}"

        test "corrections follow where values lie in their distributions" { checkChannels () }
        test "a component that gives values more than its share gets more weight, within its class" { checkWeights () }
        test "frequencies of a channel rise from 0 to 2²⁴, and every value is found in its own" { checkFrequencies () }
        test "terms of a mixture are the same with and without vectors" { checkTerms () }

        testProperty "what is coded is decoded, with any frequencies"
        <| fun (seed: int) ->
            let random = Random seed

            let symbols = [|
                for _ in 1 .. random.Next 2000 do
                    let bits = 8 + random.Next 17
                    let start = uint32 (random.Next((1 <<< bits) - 1))
                    struct (start, 1u + uint32 (random.Next((1 <<< bits) - int start)), bits)
            |]

            let encoder = RansEncoder()

            for i in symbols.Length - 1 .. -1 .. 0 do
                let struct (start, frequency, bits) = symbols[i]
                encoder.Put(start, frequency, bits)

            let bytes = encoder.Finish()
            let mutable decoder = RansDecoder(ReadOnlySpan bytes)

            for struct (start, frequency, bits) in symbols do
                let slot = decoder.Slot bits
                Expect.isTrue (slot >= start && slot - start < frequency) "slot"
                decoder.Advance(start, frequency, bits)

            Expect.isTrue decoder.IsAtEnd "end"
    ]

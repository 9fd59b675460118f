module DQ.Tests.Quantization.QuantizerTests

open System
open Expecto
open TorchSharp
open DQ.Core.Quantization

let private spec =
    QuantizerSpec(Initialization = "normal", Revival = "none", DecayWarmup = 1.0)

let private depthwise books codes width =
    new DepthwiseQuantizer(spec, books, codes, width)

let private floats (tensor: torch.Tensor) =
    tensor.cpu().contiguous().data<float32>().ToArray()

let private longs (tensor: torch.Tensor) =
    tensor.cpu().contiguous().data<int64>().ToArray()

let private gradient (tensor: torch.Tensor) =
    tensor.grad |> Option.ofObj |> Option.get

/// Nearest codes by three plain loops.
let private bruteForce (vectors: torch.Tensor) (codes: torch.Tensor) =
    let books, count, width = int codes.shape[0], int codes.shape[1], int codes.shape[2]
    let slices, rows = int vectors.shape[0], int vectors.shape[1]
    let u, c = floats vectors, floats codes

    [|
        for book in 0 .. books - 1 do
            for row in 0 .. rows - 1 do
                let first = ((if slices = 1 then 0 else book) * rows + row) * width

                [ 0 .. count - 1 ]
                |> List.minBy (fun code ->
                    Seq.sum (
                        seq {
                            for d in 0 .. width - 1 do
                                let difference = float u[first + d] - float c[(book * count + code) * width + d]
                                difference * difference
                        }
                    ))
                |> int64
    |]

/// Normal numbers that every run draws alike.
let private drawn seed (shape: int64 list) =
    use generator = new torch.Generator(seed)
    torch.randn (Array.ofList shape, generator = generator)

[<Tests>]
let nearest =
    testList "Quantization.NearestCodes" [
        for slices in [ 3; 1 ] do
            test $"agrees with plain loops, {slices} slices" {
                use vectors = drawn 1UL [ int64 slices; 17L; 5L ]
                use codes = drawn 2UL [ 3L; 11L; 5L ]
                use found = NearestCodes.Find(vectors, codes)
                Expect.sequenceEqual (longs found) (bruteForce vectors codes) "codes"
            }

        for slices in [ 3; 1 ] do
            for offset in [ 0.0; 1000.0; -30000.0 ] do
                test $"far from zero the nearest is found as well, {slices} slices, offset {offset}" {
                    use generator = new torch.Generator(1UL)

                    let drawn rows =
                        torch.randn ([| int64 rows; 200L; 8L |], generator = generator) + float32 offset

                    use vectors = drawn slices
                    use codes = drawn 3
                    use found = NearestCodes.Find(vectors, codes)

                    let wrong =
                        Seq.zip (longs found) (bruteForce vectors codes)
                        |> Seq.filter (fun (a, b) -> a <> b)

                    Expect.isEmpty wrong "codes, beside differences in float64"
                }

        test "codebooks that lie apart from each other are searched about their own means" {
            use generator = new torch.Generator(2UL)
            let apart = torch.tensor([| 0f; 1000f; -2000f |]).view(3L, 1L, 1L)
            use vectors = torch.randn ([| 3L; 150L; 6L |], generator = generator) + apart
            use codes = torch.randn ([| 3L; 40L; 6L |], generator = generator) + apart
            Expect.sequenceEqual (longs (NearestCodes.Find(vectors, codes))) (bruteForce vectors codes) "codes"
        }

        test "65,536 codes are searched in chunks" {
            use vectors = drawn 3UL [ 2L; 300L; 4L ]
            use codes = drawn 4UL [ 2L; 65536L; 4L ]
            codes[0, 60000] <- vectors[0, 299]
            codes[1, 5] <- vectors[1, 0]
            use found = NearestCodes.Find(vectors, codes)
            Expect.equal (found[0, 299].ToInt64()) 60000L "the last row's own vector"
            Expect.equal (found[1, 0].ToInt64()) 5L "the first row's own vector"
        }
    ]

[<Tests>]
let properties =
    testList "Quantization.Quantizer" [
        test "depthwise with one codebook is vector quantization" {
            use one = depthwise 1 16 6
            use vector = new VectorQuantizer(spec, 1, 16, 6)
            vector.Codebook.copy_ one.Codebook |> ignore
            use map = drawn 5UL [ 2L; 6L; 4L; 4L ]
            let a, b = one.Quantize map, vector.Quantize map
            Expect.sequenceEqual (longs a.Indices) (longs b.Indices) "codes"
            Expect.sequenceEqual (floats a.Map) (floats b.Map) "maps"
            Expect.equal (a.LatentLoss.ToSingle()) (b.LatentLoss.ToSingle()) "latent loss"
        }

        test "a code's own vector is quantized to that code" {
            use quantizer = depthwise 3 16 6
            quantizer.eval ()

            use codes =
                use generator = new torch.Generator(1UL)
                torch.randint (16L, [| 2L; 3L; 4L; 5L |], dtype = torch.ScalarType.Int64, generator = generator)

            use map = quantizer.Embed codes
            let again = quantizer.Quantize map
            Expect.sequenceEqual (longs again.Indices) (longs codes) "codes"
            Expect.equal (again.LatentLoss.ToSingle()) 0.0f "no distance"
        }

        test "permuted codes permute the indices" {
            use quantizer = depthwise 1 8 4
            use permuted = depthwise 1 8 4
            let order = [| 3; 1; 7; 0; 2; 6; 5; 4 |]

            for code in 0..7 do
                permuted.Codebook[0, code] <- quantizer.Codebook[0, order[code]]

            use map = drawn 6UL [ 2L; 4L; 3L; 3L ]
            let plain = longs (quantizer.Quantize(map).Indices)
            let other = longs (permuted.Quantize(map).Indices)
            Expect.sequenceEqual (other |> Array.map (fun code -> int64 order[int code])) plain "codes"
        }

        test "each codebook sees its own slice of the channels and no other" {
            use generator = new torch.Generator(7UL)

            let normal (shape: int64[]) =
                torch.randn (shape, generator = generator)

            use all = depthwise 3 16 4
            all.Codebook.copy_ (normal [| 3L; 16L; 4L |]) |> ignore
            use map = normal [| 2L; 12L; 3L; 5L |]
            let together = all.Quantize map

            for book in 0L .. 2L do
                use alone = depthwise 1 16 4
                alone.Codebook.copy_ (all.Codebook.narrow (0L, book, 1L)) |> ignore
                let part = alone.Quantize(map.narrow (1L, 4L * book, 4L))

                Expect.sequenceEqual
                    (longs (together.Indices.select (1L, book)))
                    (longs (part.Indices.select (1L, 0L)))
                    $"indices of codebook {book}"

                Expect.sequenceEqual
                    (floats (together.Map.narrow (1L, 4L * book, 4L)))
                    (floats part.Map)
                    $"slice {book} of the map"
        }

        test "gradients pass straight through, and the latent loss pulls towards the codes" {
            use quantizer = depthwise 2 8 3
            use map = torch.randn(2L, 6L, 4L, 4L).requires_grad_()
            let result = quantizer.Quantize map
            result.Map.sum().backward()
            Expect.allEqual (floats (gradient map)) 1.0f "straight-through"
            (gradient map).zero_() |> ignore
            result.LatentLoss.backward ()
            // per codebook a mean over B·D·H·W = 2·3·16 numbers
            let expected = (map - result.Map).detach() * (2.0 / 96.0)
            Expect.isLessThan ((gradient map - expected).abs().max().ToSingle()) 1e-6f "gradient of the latent loss"
        }

        test "codes of another shape are refused with both shapes" {
            use quantizer = depthwise 3 16 6
            use codes = torch.zeros (2L, 2L, 4L, 5L, dtype = torch.ScalarType.Int64)

            Expect.throwsC (fun () -> quantizer.Embed codes |> ignore) (fun error ->
                Expect.stringContains error.Message "expected codes (B, 3, H, W), got (2, 2, 4, 5)" "message")
        }
    ]

let private learned (quantizer: MovingAverageQuantizer) (map: torch.Tensor) =
    quantizer.train ()
    quantizer.Quantize map |> ignore
    quantizer.Learn(1L, 0L)

[<Tests>]
let learning =
    testList "Quantization.MovingAverageQuantizer" [
        test "codes follow the smoothed moving average of their vectors" {
            use quantizer = depthwise 1 3 2
            let before = quantizer.Codebook.clone ()
            use map = drawn 7UL [ 1L; 2L; 5L; 5L ]
            let chosen = longs (quantizer.Quantize(map).Indices)
            quantizer.Forget()
            learned quantizer map |> ignore
            let vectors = map.permute(0L, 2L, 3L, 1L).reshape(-1L, 2L)

            let state = [
                for code in 0..2 ->
                    let members = [
                        for n in 0..24 do
                            if chosen[n] = int64 code then
                                vectors[n]
                    ]

                    let sum (d: int) =
                        members |> List.sumBy (fun v -> float (v[d].ToSingle()))

                    0.99 + 0.01 * float members.Length,
                    [ for d in 0..1 -> 0.99 * float (before[0, code, d].ToSingle()) + 0.01 * sum d ]
            ]

            let total = state |> List.sumBy fst

            state
            |> List.iteri (fun code (count, sums) ->
                let smoothed = (count + 1e-5) / (total + 3e-5) * total

                sums
                |> List.iteri (fun d sum ->
                    Expect.floatClose
                        { absolute = 1e-5; relative = 1e-5 }
                        (float (quantizer.Codebook[0, code, d].ToSingle()))
                        (sum / smoothed)
                        $"code {code}, {d}"))
        }

        test "micro-batches add up to the batch" {
            use whole = depthwise 2 8 3
            use parts = depthwise 2 8 3
            parts.load_state_dict (whole.state_dict ()) |> ignore
            use map = drawn 8UL [ 4L; 6L; 4L; 4L ]
            learned whole map |> ignore
            parts.train ()

            for part in map.chunk 2L do
                parts.Quantize part |> ignore

            parts.Learn(1L, 0L) |> ignore
            Expect.isLessThan ((whole.Codebook - parts.Codebook).abs().max().ToSingle()) 1e-5f "codes"
        }

        test "a forgotten step leaves the codes as they were" {
            use quantizer = depthwise 2 8 3
            let before = floats quantizer.Codebook
            quantizer.train ()
            quantizer.Quantize(drawn 9UL [ 2L; 6L; 4L; 4L ]) |> ignore
            quantizer.Forget()
            Expect.sequenceEqual (floats quantizer.Codebook) before "codes"
            Expect.throws (fun () -> quantizer.Learn(1L, 0L) |> ignore) "nothing is left to learn from"
        }

        test "evaluation collects nothing" {
            use quantizer = depthwise 2 8 3
            quantizer.eval ()
            quantizer.Quantize(drawn 10UL [ 2L; 6L; 4L; 4L ]) |> ignore
            Expect.throws (fun () -> quantizer.Learn(1L, 0L) |> ignore) "nothing was collected"
        }
    ]

let private stateOf (quantizer: MovingAverageQuantizer) name = quantizer.state_dict().[name]

[<Tests>]
let revival =
    let farAway rule =
        let quantizer =
            new DepthwiseQuantizer(QuantizerSpec(Initialization = "normal", Revival = rule, Decay = 0.0), 1, 4, 2)
        // three codes beyond any vector's reach
        quantizer.Codebook.fill_ 100.0 |> ignore
        quantizer.Codebook[0, 0] <- torch.zeros 2L
        quantizer

    let batch = drawn 11UL [ 1L; 2L; 4L; 4L ]

    let isVectorOfBatch (code: torch.Tensor) =
        let vectors = batch.permute(0L, 2L, 3L, 1L).reshape(-1L, 2L)
        (vectors - code).abs().sum(1L).min().ToSingle() < 1e-6f

    testList "Quantization.CodeRevival" [
        test "usage: unused codes become vectors of the batch, with a count and sum to match" {
            use quantizer = farAway "usage"
            Expect.sequenceEqual (learned quantizer batch) [ 3L ] "revived"

            for code in 1..3 do
                Expect.isTrue (isVectorOfBatch quantizer.Codebook[0, code]) $"code {code}"
                let count = (stateOf quantizer "counts").[0, code].ToSingle()
                Expect.floatClose Accuracy.medium (float count) (0.02 * 16.0 / 4.0) "count"
                let sum = (stateOf quantizer "sums").[0, code]
                Expect.isLessThan ((sum - quantizer.Codebook[0, code] * count).abs().max().ToSingle()) 1e-6f "sum"
        }

        test "published: codes are redrawn while counts and sums stay stale" {
            use quantizer = farAway "published"
            Expect.sequenceEqual (learned quantizer batch) [ 3L ] "revived"
            Expect.isTrue (isVectorOfBatch quantizer.Codebook[0, 2]) "a vector of the batch"
            Expect.equal ((stateOf quantizer "counts").[0, 2].ToSingle()) 0.0f "count"
            Expect.equal ((stateOf quantizer "sums").[0, 2].abs().sum().ToSingle()) 0.0f "sum"
        }

        test "more codes than vectors: the batch is tiled with a little noise" {
            use quantizer =
                new DepthwiseQuantizer(QuantizerSpec(Initialization = "normal", Revival = "published"), 1, 64, 2)

            quantizer.Codebook.fill_ 100.0 |> ignore
            (stateOf quantizer "counts").fill_ 0.0 |> ignore
            learned quantizer batch |> ignore
            Expect.isLessThan (quantizer.Codebook.abs().max().ToSingle()) 10.0f "all near the batch"
        }

        test "the same seed and step draw the same vectors" {
            use one = farAway "usage"
            use other = farAway "usage"
            learned one batch |> ignore
            learned other batch |> ignore
            Expect.sequenceEqual (floats one.Codebook) (floats other.Codebook) "codes"
        }
    ]

[<Tests>]
let kMeans =
    testList "Quantization.KMeans" [
        test "finds well-separated centres" {
            let centres =
                torch.tensor (array2D [ [ 0.0f; 0.0f ]; [ 10.0f; 0.0f ]; [ 0.0f; 10.0f ] ])

            let rows = torch.tensor [| for row in 0..299 -> int64 (row % 3) |]

            let vectors =
                (centres.index_select (0L, rows) + drawn 12UL [ 300L; 2L ] * 0.1).unsqueeze 0L

            let struct (found, members) = KMeans.Fit(vectors, 1, 3, 0L, EuclideanMetric())
            let sorted = found[0].square().sum(1L).sqrt() |> floats |> Array.sort
            Expect.isLessThan (abs (sorted[0])) 0.2f "the one at the origin"
            Expect.isLessThan (abs (sorted[2] - 10.0f)) 0.2f "one at distance ten"
            Expect.equal (members.sum().ToSingle()) 300.0f "every vector belongs somewhere"
        }
    ]

[<Tests>]
let histogram =
    testList "Quantization.CodeHistogram" [
        test "equally used codes: perplexity K, entropy ln K" {
            let histogram = CodeHistogram(2, 8)
            histogram.Add(torch.tensor([| for at in 0..63 -> int64 (at % 8) |]).view(2L, 2L, 4L, 4L))
            Expect.floatClose Accuracy.high (histogram.Perplexity 0) 8.0 "perplexity"
            Expect.floatClose Accuracy.high (histogram.EntropyNats 1) (log 8.0) "entropy"
            Expect.equal (histogram.Usage 0) 1.0 "usage"
        }

        test "idle codes are those without a count, a bit each, the lowest first" {
            let histogram = CodeHistogram(1, 10)
            histogram.Add(torch.tensor([| 0L; 3L; 3L; 9L |]).view(1L, 1L, 2L, 2L))
            Expect.equal (histogram.Idle 0) [| 0b1111_0110uy; 0b01uy |] "all but 0, 3 and 9"
        }

        test "coding under other frequencies never beats the entropy" {
            let histogram, other = CodeHistogram(1, 4), CodeHistogram(1, 4)
            histogram.Add(torch.tensor([| 0L; 0L; 0L; 1L |]).view(1L, 1L, 2L, 2L))
            other.Add(torch.tensor([| 3L; 2L; 0L; 1L |]).view(1L, 1L, 2L, 2L))
            let bits = other.CrossEntropyBits histogram
            Expect.isGreaterThan bits (4.0 * histogram.EntropyNats 0 / log 2.0) "bits of four choices"
        }
    ]

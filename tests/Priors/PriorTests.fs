/// Priors over codes: what they may see, their probabilities, their integers, and streams of codes under them.
module DQ.Tests.Priors.PriorTests

open System
open System.Collections.Generic
open System.IO
open System.Threading
open Expecto
open FsCheck
open DQ.Core.Codes
open DQ.Core.Coding
open DQ.Core.Priors
open DQ.Core.Training
open DQ.Tests.TemporaryFolder
open TorchSharp

/// Three levels, with 2, 3 and 1 codebooks; a top position is over 2 × 2 of the middle and 4 × 4 of the bottom.
let private spec =
    PriorSpec(
        Model = String('a', 64),
        Levels = [| CodesLevel(11, 2, 4, 2); CodesLevel(5, 3, 3, 4); CodesLevel(300, 1, 9, 8) |],
        Radius = 2,
        Embedding = 5,
        Width = 17
    )

/// Weights from this program's own generator, which gives the same on every machine, with sums of the size that trained
/// ones have.
let private weights (spec: PriorSpec) seed =
    let mutable random = DQ.Core.SplitMix64(seed, 0L, 0L)

    let values count scale = [| for _ in 1..count -> float32 (scale * (2.0 * random.NextDouble() - 1.0)) |]

    let layer inputs outputs scale =
        PriorLayer(inputs, outputs, values (inputs * outputs) (scale / sqrt (float inputs)), values outputs 0.2)

    let tables (codes: CodesLevel) : float32[][] = [|
        for _ in 1 .. codes.Codebooks -> values ((codes.CodeCount + 1) * spec.Embedding) 1.0
    |]

    PriorWeights(
        spec,
        [|
            for level in 0 .. spec.Levels.Count - 1 do
                let codes = spec.Levels[level]
                let above = spec.Levels.Count - 1 - level

                PriorLevelWeights(
                    tables codes,
                    [|
                        for other in level + 1 .. spec.Levels.Count - 1 -> tables spec.Levels[other]
                    |],
                    (if above = 0 then
                         null
                     else
                         values (spec.Ratio(level, level + 1) * spec.Ratio(level, level + 1) * spec.Embedding) 1.0),
                    layer (spec.Inputs level) spec.Width 3.0,
                    layer spec.Width spec.Width 3.0,
                    [|
                        for _ in 1 .. codes.Codebooks -> layer (spec.Width + spec.Embedding) spec.Width 3.0
                    |],
                    [| for _ in 1 .. codes.Codebooks -> layer spec.Width codes.CodeCount 0.8 |]
                )
        |]
    )

let private frozen = lazy (PriorFreezer.Freeze(weights spec 7L))

let private grids: struct (int * int)[] = [| struct (8, 12); struct (4, 6); struct (2, 3) |]

/// Random codes per image and level.
let private codesOf (grids: struct (int * int)[]) images seed : int[][][] =
    let random = Random seed

    [|
        for _ in 1..images ->
            [|
                for level, struct (height, width) in Seq.indexed grids ->
                    [|
                        for _ in 1 .. spec.Levels[level].Codebooks * height * width ->
                            random.Next spec.Levels[level].CodeCount
                    |]
            |]
    |]

let private copy (codes: int[][][]) =
    codes |> Array.map (Array.map Array.copy)

/// Keeps the logits of every code, in the order of the walk.
[<Struct>]
type private Recorder(logits: List<int[]>) =
    interface ICodeVisitor with
        member _.Visit(_, _, _, given, _, code) =
            logits.Add(given.ToArray())
            code

let private recorded codes =
    let logits = List()
    let mutable recorder = Recorder logits
    PriorWalk(frozen.Value, grids).Run(codes, &recorder, CancellationToken.None)
    logits.ToArray()

/// The places of an image's codes in the order of the walk: level, and place in the level's array.
let private order = [|
    for level in grids.Length - 1 .. -1 .. 0 do
        let struct (height, width) = grids[level]

        for position in 0 .. height * width - 1 do
            for book in 0 .. spec.Levels[level].Codebooks - 1 -> level, book * height * width + position
|]

let private network spec (weights: PriorWeights) =
    let network = new PriorNetwork(spec)
    use _ = torch.no_grad ()
    let state = network.state_dict ()

    let set (name: string) (values: float32[]) =
        state[name].copy_(torch.tensor(values).view(state[name].shape)) |> ignore

    for number, level in Seq.indexed weights.Levels do
        let prefix = $"levels.{number}"

        let setLayer name (layer: PriorLayer) =
            set $"{prefix}.{name}.weight" layer.Weight
            set $"{prefix}.{name}.bias" layer.Bias

        for book, table in Seq.indexed level.Own do
            set $"{prefix}.own.{book}.weight" table

        for above, tables in Seq.indexed level.Above do
            for book, table in Seq.indexed tables do
                set $"{prefix}.above.{above}.{book}.weight" table

        for table in Option.toList (Option.ofObj level.Phase) do
            set $"{prefix}.phase.0.weight" table

        setLayer "enter" level.Enter
        setLayer "hidden" level.Hidden

        for book, layer in Seq.indexed level.Join do
            setLayer $"join.{book}" layer

        for book, layer in Seq.indexed level.Leave do
            setLayer $"leave.{book}" layer

    network

let private numbers (tensor: torch.Tensor) =
    tensor.detach().cpu().contiguous().data<float32>().ToArray()

/// (B, M, H, W) per level.
let private tensors (codes: int[][][]) : torch.Tensor[] = [|
    for level, struct (height, width) in Seq.indexed grids ->
        torch
            .tensor(codes |> Array.collect (fun image -> Array.map int64 image[level]))
            .view(int64 codes.Length, int64 spec.Levels[level].Codebooks, int64 height, int64 width)
|]

let private header sizes count =
    CodesHeader(
        Model = spec.Model,
        Run = "a-run",
        Prior = CodesPrior(frozen.Value.Fingerprint, "a-prior"),
        Channels = 3,
        Levels = spec.Levels,
        Count = count,
        Sizes = sizes,
        Names = [||]
    )

/// A file of images of three sizes, some of them with neighbours of the same size, and its codes.
let private written folder =
    let sizes = [|
        for image in 0..39 ->
            if image < 30 then ImageSize(16, 24)
            elif image < 38 then ImageSize(5, 17)
            else ImageSize(40 + image, 8)
    |]

    let header = header sizes sizes.Length

    let codes = [|
        for image in 0 .. sizes.Length - 1 do
            let grids = [|
                for level in 0..2 ->
                    let struct (height, width) = header.Grid(image, level)
                    struct (height, width)
            |]

            yield! codesOf grids 1 image
    |]

    let path = Path.Combine(folder, "coded.dqc")
    PriorCodesFile.Write(path, header, frozen.Value, codes)
    path, header, codes

let private readAll path prior =
    use file = PriorCodesFile.Open path
    file.Read prior |> Seq.toArray

[<Tests>]
let tests =
    testList "Priors" [
        test "a code's probabilities depend on the codes before it alone" {
            let codes = codesOf grids 1 3
            let before = recorded (copy codes)
            Expect.equal before.Length order.Length "every code once"

            for changed in 0..5 .. order.Length - 1 do
                let other = copy codes
                let level, place = order[changed]
                let array = Array.item level (Array.item 0 other)
                array[place] <- (array[place] + 1) % spec.Levels[level].CodeCount
                let after = recorded other
                Expect.equal after[..changed] before[..changed] $"up to code {changed} itself"

                if changed < order.Length - 2 then
                    Expect.notEqual after[changed + 1 ..] before[changed + 1 ..] $"something after code {changed}"
        }

        test "frequencies are at least 1 and sum to a power of two, whatever the logits" {
            let isWhole (logits: int[]) (bits: int) =
                let probabilities = CodeProbabilities()
                probabilities.Fill(logits, bits)
                let frequencies = probabilities.Frequencies.ToArray()

                Seq.forall (fun frequency -> frequency >= 1u) frequencies
                && (frequencies |> Seq.sumBy uint64) = (1UL <<< CodeProbabilities.Bits)

            Check.One(
                Config.QuickThrowOnFailure,
                fun (first: int) (rest: int[]) (PositiveInt bits) -> isWhole [| first; yield! rest |] (8 + bits % 16)
            )

            for count in [ 1; 2; 65_536 ] do
                Expect.isTrue (isWhole (Array.zeroCreate count) 8) $"{count} equal ones"
                Expect.isTrue (isWhole (Array.init count (fun code -> Int32.MinValue + code)) 20) $"{count} low ones"

            Expect.isTrue (isWhole [| Int32.MinValue; Int32.MaxValue |] 8) "the furthest apart"
        }

        test "frequencies are the softmax of the logits" {
            let logits = [| 0; 300; -500; 1000 |]
            let probabilities = CodeProbabilities()
            probabilities.Fill(logits, 8)
            let powers = logits |> Array.map (fun logit -> exp (float logit / 256.0))
            let total = float (1 <<< CodeProbabilities.Bits)

            for power, frequency in Seq.zip powers (probabilities.Frequencies.ToArray()) do
                Expect.floatClose
                    { absolute = 1e-6; relative = 1e-5 }
                    (float frequency / total)
                    (power / Array.sum powers)
                    "a probability"
        }

        test "the code that a number belongs to is the one whose range has it" {
            let probabilities = CodeProbabilities()
            let logits = [| 0; 300; -5000; 1000; -3000 |]
            probabilities.Fill(logits, 8)
            let frequencies = probabilities.Frequencies.ToArray()

            for code in 0 .. frequencies.Length - 1 do
                let start = probabilities.Start code

                for slot in [ start; start + frequencies[code] - 1u ] do
                    Expect.equal (probabilities.Find slot) (struct (code, start)) $"{slot}"
        }

        test "integers cost what floats cost, per level and codebook" {
            use _ = torch.NewDisposeScope()
            use _ = torch.no_grad ()
            let codes = codesOf grids 20 5
            use network = network spec (weights spec 7L)
            let floats = network.Nats(tensors codes)
            let integers = PriorCoder.Bits(frozen.Value, grids, codes)

            for level, nats in Seq.indexed floats do
                for book, each in Seq.indexed (numbers nats) do
                    Expect.floatClose
                        { absolute = 0.0; relative = 2e-3 }
                        (Array.item book integers[level])
                        (float each / log 2.0)
                        $"level {level}, codebook {book}"
        }

        test "a network's weights leave it as they came" {
            use network = network spec (weights spec 7L)

            Expect.equal
                (PriorFreezer.Freeze(network.Weights())).Fingerprint
                frozen.Value.Fingerprint
                "the same integers"
        }

        test "all instruction sets give the same sums" {
            for layer in [ frozen.Value.Levels[0].Enter; frozen.Value.Levels[2].Leave[0] ] do
                let sums (product: LayerProduct) =
                    let rows, stride = 12, (layer.Inputs + 1) / 2 * 2
                    let random = Random 1

                    let inputs = GC.AllocateArray<int16>(rows * stride, pinned = true)

                    for row in 0 .. rows - 1 do
                        for input in 0 .. layer.Inputs - 1 do
                            inputs[row * stride + input] <- int16 (random.Next 4095)

                    let sums = GC.AllocateArray<int>(rows * product.Stride, pinned = true)
                    product.Run(ContextNet.Address inputs, stride, rows, ContextNet.Address sums)

                    [|
                        for row in 0 .. rows - 1 ->
                            sums[row * product.Stride .. row * product.Stride + layer.Outputs - 1]
                    |]

                let plain = sums (LayerProduct<int, Lanes1> layer)
                Expect.equal (sums (LayerProduct.For layer)) plain "the widest"

                if Lanes128.IsSupported then
                    Expect.equal
                        (sums (LayerProduct<Runtime.Intrinsics.Vector128<int>, Lanes128> layer))
                        plain
                        "128 bits"
        }

        test "weights that are not finite, or too large for integers, are refused by name" {
            for value in [ nanf; infinityf; 1e9f ] do
                let wrong = weights spec 7L
                wrong.Levels[1].Join[2].Weight[ 3 ] <- value

                Expect.throwsC (fun () -> PriorFreezer.Freeze wrong |> ignore) (fun error ->
                    Expect.stringContains error.Message "levels.1.join.2" "where")
        }

        test "codes leave a stream as they came, and it is as long as they cost" {
            let codes = codesOf grids 64 11
            let stream = PriorCoder.Encode(frozen.Value, grids, codes)
            Expect.equal (PriorCoder.Decode(frozen.Value, grids, codes.Length, stream)) codes "codes"
            let bits = PriorCoder.Bits(frozen.Value, grids, codes) |> Array.sumBy Array.sum
            Expect.isLessThan (abs (8.0 * float stream.Length - bits)) (0.001 * bits + 128.0) "length"
        }

        test "fixed weights and codes give the same stream on every machine, in every version" {
            let stream = PriorCoder.Encode(frozen.Value, grids, codesOf grids 3 1)

            Expect.equal
                frozen.Value.Fingerprint
                "0764ec49ae26465b153ee35675a865e13d1eb55073e2ea6e41fd5614d536aa2a"
                "prior"

            Expect.equal
                (DQ.Core.Sha256.Of(stream: byte[]))
                "4f5c397f9aea840d7cc30e1380d58e6bc6cee217ab7a8547fd8170a7f28f2313"
                "stream"
        }

        test "a file gives back the codes of images of several sizes; it is within 1 % of what they cost" {
            inFolder (fun folder ->
                let path, header, codes = written folder
                Expect.isTrue (CodesFile.IsCoded path) "kind"
                Expect.equal (readAll path frozen.Value) codes "codes"

                let bits =
                    codes[..29]
                    |> fun same -> PriorCoder.Bits(frozen.Value, grids, same) |> Array.sumBy Array.sum

                let one = Path.Combine(folder, "one.dqc")

                let alike =
                    DQ.Tests.Fixtures.altered header [ "Count", box 30; "Sizes", box [| header.Sizes[0] |] ]

                PriorCodesFile.Write(one, alike, frozen.Value, codes[..29])
                let bytes = FileInfo(one).Length - CodesFile.HeaderBytes alike
                Expect.isLessThan (abs (8.0 * float bytes - bits)) (0.01 * bits) "bytes of the codes")
        }

        test "no images make a file too" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, "none.dqc")
                PriorCodesFile.Write(path, header [| ImageSize(8, 8) |] 0, frozen.Value, [])
                Expect.isEmpty (readAll path frozen.Value) "none")
        }

        test "another prior, and a file that is cut or changed, are refused by name" {
            inFolder (fun folder ->
                let path, _, codes = written folder
                let bytes = File.ReadAllBytes path

                let refused what prior =
                    Expect.throwsC (fun () -> readAll path prior |> ignore) (fun error ->
                        Expect.isTrue (error :? InvalidDataException) $"{what}: %A{error}"
                        Expect.stringContains error.Message path what)

                refused "another prior" (PriorFreezer.Freeze(weights spec 8L))

                for length in [ 0; 7; 20; bytes.Length / 2; bytes.Length - 1 ] do
                    File.WriteAllBytes(path, bytes[.. length - 1])
                    refused $"{length} bytes" frozen.Value

                File.WriteAllBytes(path, [| yield! bytes; 0uy |])
                refused "a byte more" frozen.Value
                let random = Random 2

                for _ in 1..40 do
                    // in the streams and their heads
                    let changed = Array.copy bytes
                    let at = random.Next(bytes.Length / 2, bytes.Length)
                    changed[at] <- changed[at] ^^^ byte (1 <<< random.Next 8)
                    File.WriteAllBytes(path, changed)
                    refused $"byte {at}" frozen.Value

                File.WriteAllBytes(path, bytes)
                Expect.equal (readAll path frozen.Value) codes "whole again")
        }

        test "a packed file and a coded one are not taken for each other" {
            inFolder (fun folder ->
                let path, header, codes = written folder
                Expect.throwsT<InvalidDataException> (fun () -> (CodesFile.Open path).Dispose()) "coded"
                let packed = Path.Combine(folder, "packed.dqc")
                CodesFile.Write(packed, DQ.Tests.Fixtures.altered header [ "Prior", null ], codes)
                Expect.isFalse (CodesFile.IsCoded packed) "packed"
                Expect.throwsT<InvalidDataException> (fun () -> (PriorCodesFile.Open packed).Dispose()) "packed")
        }

        test "the same seed draws the same codes, each image by its number; the lowest temperature draws one" {
            let sample count seed temperature =
                PriorCoder.Sample(frozen.Value, grids, count, seed, temperature)

            let five = sample 5 1L 1.0
            Expect.equal (sample 5 1L 1.0) five "again"
            Expect.equal (sample 2 1L 1.0) five[..1] "fewer"
            Expect.notEqual (sample 5 2L 1.0) five "another seed"
            Expect.equal (five |> Array.distinct |> Array.length) 5 "all different"
            let cold = sample 3 1L PriorCoder.LeastTemperature
            let stream = PriorCoder.Encode(frozen.Value, grids, copy five)
            Expect.equal (PriorCoder.Decode(frozen.Value, grids, 5, stream)) five "are codes"

            let bits codes =
                PriorCoder.Bits(frozen.Value, grids, codes) |> Array.sumBy Array.sum

            Expect.isLessThan (bits cold / 3.0) (bits five / 5.0) "likelier"

            Expect.throwsT<ArgumentOutOfRangeException> (fun () -> sample 1 0L 0.0 |> ignore) "no temperature"
        }

        test
            "learns that a code is another's copy: of the codebook before, of the level above, of the position at the left" {
            let small =
                PriorSpec(
                    Model = String('a', 64),
                    Levels = [| CodesLevel(4, 2, 2, 2); CodesLevel(4, 1, 2, 4) |],
                    Radius = 1,
                    Embedding = 8,
                    Width = 32
                )

            torch.manual_seed 0L |> ignore
            use network = new PriorNetwork(small)
            use optimizer = new AdamOptimizer(network.named_parameters (), 0.99)

            let random = Random 4

            // top: every row repeats its first code; bottom: codebook 0 is the code above, codebook 1 that of codebook 0
            let batch () : torch.Tensor[] =
                let rows = Array.init (32 * 3) (fun _ -> int64 (random.Next 4))

                let top =
                    torch.tensor(rows).view(32L, 1L, 3L, 1L).expand(-1L, -1L, -1L, 3L).contiguous()

                let book = top.repeat_interleave(2L, 2L).repeat_interleave(2L, 3L)
                [| torch.cat ([| book; book |], 1L); top |]

            let mutable sums = [||]

            for _ in 1..300 do
                use _ = torch.NewDisposeScope()
                optimizer.ClearGradients()
                let codes = batch ()
                network.MeanNats(codes).backward()
                optimizer.Update(5e-3, 0.0, 1.0)

                sums <- [|
                    for level, nats in Seq.zip codes (network.Nats codes) do
                        let each = float (level.numel () / level.shape[1])

                        for sum in numbers nats -> float sum / each / log 2.0
                |]

            Expect.isLessThan sums[0] 0.1 "from above, bits"
            Expect.isLessThan sums[1] 0.1 "from the codebook before"
            // one code of three in a row has to be said, with 2 bits
            Expect.isLessThan sums[2] 0.85 "from the left"
            Expect.isGreaterThan sums[2] 0.6 "no less than there is to say"
        }
    ]

module DQ.Tests.Codes.CodesFileTests

open System
open System.IO
open System.IO.Compression
open System.Text
open Expecto
open FsCheck
open FsCheck.FSharp
open DQ.Core.Autoencoders
open DQ.Core.Codes
open DQ.Core.Evaluation
open DQ.Core.Images
open DQ.Tests.Fixtures
open TorchSharp

/// Made-up codes: a header and, per image and level, indices.
type private Sample = {
    Header: CodesHeader
    Images: int[][][]
}

let private header levels sizes count names =
    CodesHeader(
        Model = String('a', 64),
        Run = "a-run",
        Channels = 3,
        Levels = levels,
        Count = count,
        Sizes = sizes,
        Names = names
    )

let private sample: Gen<Sample> =
    gen {
        let! depth = Gen.choose (1, 3)

        let! codes =
            Gen.elements [ 1; 2; 3; 8; 100; 256; 300; 70_000 ] |> Gen.arrayOfLength depth

        let! codebooks = Gen.choose (1, 4)
        let! count = Gen.choose (0, 4)
        let! same = ArbMap.defaults |> ArbMap.generate<bool>

        let! sizes =
            Gen.choose (1, 20)
            |> Gen.two
            |> Gen.arrayOfLength (if same || count = 0 then 1 else count)

        let levels = [|
            for level in 0 .. depth - 1 ->
                CodesLevel(codes[level], codebooks, PackedIndices.Bits codes[level], 2 <<< level)
        |]

        let names =
            if same then
                [||]
            else
                [| for image in 0 .. count - 1 -> $"{image}.of.png" |]

        let header =
            header levels [| for height, width in sizes -> ImageSize(height, width) |] count names

        let! seed = Gen.choose (0, 1_000_000)
        let random = Random seed

        let indices image level =
            Array.init (header.IndexCount(image, level)) (fun _ -> random.Next codes[level])

        return {
            Header = header
            Images = [|
                for image in 0 .. count - 1 -> [| for level in 0 .. depth - 1 -> indices image level |]
            |]
        }
    }

let private written (sample: Sample) check =
    withFile (fun path ->
        CodesFile.Write(path, sample.Header, sample.Images)
        check path)

let private small =
    Gen.sampleWithSeed (Rnd 7UL) 50 40 sample
    |> Array.filter (fun sample -> sample.Header.Count > 1)

let private refusal path =
    try
        use file = CodesFile.Open path

        for image in 0 .. file.Header.Count - 1 do
            file.Read image |> ignore

        None
    with :? InvalidDataException as error ->
        Expect.stringStarts error.Message path "names the file"
        Some error.Message

let private tiny =
    AutoencoderSpec(
        Channels = 4,
        ResidualBlocks = 0,
        CoderBlocks = 1,
        CodeCounts = [| 5; 8 |],
        Codebooks = 2,
        CodeWidth = 3
    )

[<Tests>]
let tests =
    testList "Codes.CodesFile" [
        testCase "an index takes as many bits as the largest needs"
        <| fun () ->
            let bits = [
                for codes in [ 1; 2; 3; 4; 5; 128; 129; 256; 1 <<< 20 ] -> PackedIndices.Bits codes
            ]

            Expect.equal bits [ 0; 1; 2; 2; 3; 7; 8; 8; 20 ] "⌈log2 K⌉"

        testCase "indices are packed lowest bit first"
        <| fun () ->
            // 5 = 101, 1 = 001, 6 = 110: …1 10|00 1|101
            Expect.equal (PackedIndices.Pack(ReadOnlySpan [| 5; 1; 6 |], 3)) [| 0b10001101uy; 0b1uy |] "three bits each"

        testProperty "what was written is read, in any order"
        <| Prop.forAll (Arb.fromGen sample) (fun sample ->
            written sample (fun path ->
                use file = CodesFile.Open path

                let back = [|
                    for image in Seq.rev (seq { 0 .. sample.Header.Count - 1 }) -> file.Read image
                |]

                Expect.equal (Array.rev back) sample.Images "codes"
                Expect.equal (file.Header.ToJson()) (sample.Header.ToJson()) "header"))

        testCase "a file cut short anywhere is refused by name"
        <| fun () ->
            let sample = small[0]

            written sample (fun path ->
                let whole = File.ReadAllBytes path

                for length in 0 .. whole.Length - 1 do
                    File.WriteAllBytes(path, whole[.. length - 1])
                    Expect.isSome (refusal path) $"{length} of {whole.Length} bytes"

                File.WriteAllBytes(path, Array.append whole [| 0uy |])
                Expect.isSome (refusal path) "too long")

        testCase "foreign files, other versions and indices beyond the codes are refused"
        <| fun () ->
            let refused (content: byte[]) expected =
                withFile (fun path ->
                    File.WriteAllBytes(path, content)
                    Expect.stringContains (Option.defaultValue "" (refusal path)) expected "why")

            refused (Encoding.ASCII.GetBytes "not codes, but long enough") "DQCODES1"

            let withHeader (json: string) (data: byte[]) =
                let text = Encoding.UTF8.GetBytes json
                Array.concat [ "DQCODES1"B; BitConverter.GetBytes(int64 text.Length); text; data ]

            let json =
                Encoding.UTF8.GetString(
                    (header [| CodesLevel(3, 1, 2, 2) |] [| ImageSize(4, 2) |] 1 [| "a.png" |]).ToJson()
                )

            refused (withHeader json [| 0b1100uy |]) "expected indices below 3, got 3"
            refused (withHeader (json.Replace("\"schema\":1", "\"schema\":2")) [| 0uy |]) "schema version 2"
            refused (withHeader (json.Replace("a.png", "../a.png")) [| 0uy |]) "without folders"
            refused (withHeader (json.Replace("a.png", "..")) [| 0uy |]) "without folders"
            refused (withHeader (json.Replace("\"bits\":2", "\"bits\":9")) [| 0uy |]) "the bits they need"
            refused (withHeader (json.Replace("\"cell\":2", "\"cell\":0")) [| 0uy |]) "cell"
            refused (withHeader (json.Replace("\"height\":4", "\"height\":65536")) [| 0uy |]) "expected"
            refused (withHeader "{\"schema\":1}" [||]) "not the JSON expected"
            refused (withHeader "[]" [||]) "expected an object"

        testCase "damaged files are refused or read, and nothing else"
        <| fun () ->
            let random = Random 3

            withFile (fun path ->
                for sample in small |> Array.truncate 10 do
                    CodesFile.Write(path, sample.Header, sample.Images)
                    let whole = File.ReadAllBytes path

                    for _ in 1..100 do
                        File.WriteAllBytes(
                            path,
                            mutate random whole.Length (Encoding.Latin1.GetBytes "0123456789{}[],:\"-\000\255") whole
                        )

                        refusal path |> ignore)

        testCase "images to codes to the same pictures as reconstructing at once"
        <| fun () ->
            torch.manual_seed 2L |> ignore
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(tiny)
            model.eval ()
            let images = [| for n in 0L .. 2L -> PixelImage(DeadLeaves.Generate(0L, n, 16), 3, 16, 16) |]

            let odd =
                PixelImage(Array.init (3 * 7 * 9) (fun place -> byte (place * 37 % 256)), 3, 7, 9)

            let pictures = Array.append images [| odd |]
            let sizes = [| for picture in pictures -> ImageSize(picture.Height, picture.Width) |]
            let header = ModelCodes.Header(model, null, pictures.Length, sizes, [||])

            withFile (fun path ->
                CodesFile.Write(path, header, [ for picture in pictures -> ModelCodes.Encode(model, picture) ])
                use file = CodesFile.Open path
                Expect.isNull (ModelCodes.Mismatch(model, file.Header)) "the same model"

                for index, picture in Seq.indexed pictures do
                    let decoded = ModelCodes.Decode(model, file.Header, index, file.Read index)
                    let expected = Picture.Of(model, picture).Reconstruction
                    Expect.equal (decoded.Height, decoded.Width) (picture.Height, picture.Width) "size"
                    Expect.equal decoded.Bytes expected.Bytes $"picture {index}"

                use other = new HierarchicalAutoencoder(tiny)

                Expect.stringContains
                    (string (ModelCodes.Mismatch(other, file.Header)))
                    "its codes are those of model"
                    "other weights"

                use larger = new HierarchicalAutoencoder(AutoencoderSpec())

                Expect.stringContains
                    (string (ModelCodes.Mismatch(larger, file.Header)))
                    "found codes of 3-channel images at 2 levels (2 × 5 per 2"
                    "another spec")

        testCase "arrays for NumPy hold the codes in order, beginning at a multiple of 64 bytes"
        <| fun () ->
            let levels = [| CodesLevel(9, 2, 4, 1); CodesLevel(3, 2, 2, 2) |]
            let header = header levels [| ImageSize(2, 4) |] 2 [||]

            let images = [|
                for image in 0..1 -> [| Array.init 16 (fun at -> (at + image) % 9); [| 0; 1; 2; image |] |]
            |]

            written { Header = header; Images = images } (fun path ->
                let npz = path + ".npz"
                use file = CodesFile.Open path
                NpzFile.Write(npz, file)
                use zip = ZipFile.OpenRead npz

                let content (name: string) =
                    use stream = (nonNull (zip.GetEntry name)).Open()
                    use copy = new MemoryStream()
                    stream.CopyTo copy
                    let bytes = copy.ToArray()
                    Expect.equal bytes[..7] (Array.append [| 0x93uy |] "NUMPY\001\000"B) "magic, version"
                    let start = 10 + int (BitConverter.ToUInt16(bytes, 8))
                    Expect.equal (start % 64) 0 "aligned"
                    Encoding.ASCII.GetString(bytes, 10, start - 10), bytes[start..]

                let array level =
                    let text, bytes = content $"codes_{level}.npy"
                    text.TrimEnd(), Array.init (bytes.Length / 4) (fun at -> BitConverter.ToInt32(bytes, 4 * at))

                let text, codes = array 0
                Expect.equal text "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2, 2, 4,), }" "(B, M, H, W)"
                Expect.equal codes (Array.concat [ images[0][0]; images[1][0] ]) "bottom"

                Expect.equal
                    (array 1)
                    ("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2, 1, 2,), }",
                     Array.concat [ images[0][1]; images[1][1] ])
                    "top"

                let _, metadata = content "metadata.npy"

                Expect.equal
                    (Encoding.UTF32.GetString metadata)
                    (Encoding.UTF8.GetString(header.ToJson()))
                    "the header")
    ]

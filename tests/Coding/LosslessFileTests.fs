module DQ.Tests.Coding.LosslessFileTests

open System
open System.IO
open System.Threading
open Expecto
open FsCheck.FSharp
open DQ.Core
open DQ.Core.Coding
open DQ.Core.Images
open DQ.Tests.Coding.Models
open DQ.Tests.Fixtures
open DQ.Tests.TemporaryFolder

let private write (file: string) models withModels threads (pictures: LosslessPicture seq) =
    AtomicFile.Write(
        file,
        fun stream ->
            let writer =
                LosslessWriter(stream, models, withModels, threads, CancellationToken.None)

            for picture in pictures do
                writer.Add picture

            writer.Finish()
    )

let private known (models: CodingModels) =
    [ models.Color; models.Gray ] |> List.choose Option.ofObj

let private read (file: string) models threads =
    use opened = LosslessFile.Open file

    opened.Read(opened.Resolve(known models), threads, CancellationToken.None)
    |> Seq.map (fun struct (number, picture) -> number, picture)
    |> Seq.sortBy fst
    |> Seq.map snd
    |> Array.ofSeq

let private bytes (image: PixelImage | null) =
    image
    |> Option.ofObj
    |> Option.map (fun image -> image.Channels, image.Height, image.Width, List.ofArray image.Bytes)

/// What of a picture must come back.
let private content (picture: LosslessPicture) =
    picture.Name,
    bytes picture.Colors,
    bytes picture.Alpha,
    Option.ofNullable picture.ModifiedTicks,
    Option.ofObj picture.Profile |> Option.map List.ofArray

let private plain image =
    LosslessPicture(null, image, null, Nullable(), null)

let private flat channels height width seed =
    let image = noise channels height width seed

    for i in 0 .. image.Bytes.Length - 1 do
        image.Bytes[i] <-
            if image.Bytes[i % (height * width)] > 250uy then
                200uy
            else
                30uy

    image

let private constant channels height width (value: int) =
    PixelImage(Array.create (channels * height * width) (byte value), channels, height, width)

/// Pictures of all kinds, as they may stand together in a file.
let private pictures: FsCheck.Gen<LosslessPicture list> =
    let image =
        gen {
            let! height = Gen.frequency [ 1, Gen.constant 1; 6, Gen.choose (1, 40) ]
            let! width = Gen.frequency [ 1, Gen.constant 1; 6, Gen.choose (1, 40) ]
            let! channels = Gen.elements [ 1; 3 ]
            let! seed = Gen.choose (0, 1_000_000)

            let! make =
                Gen.elements [ picture; noise; flat; (fun c h w seed -> constant c h w (seed % 256)) ]

            let! gray = Gen.frequency [ 4, Gen.constant false; 1, Gen.constant true ]
            let image = make channels height width seed

            return
                if gray then
                    (image.WithChannels 1).WithChannels channels
                else
                    image
        }

    gen {
        let! count = Gen.choose (0, 6)

        let! list =
            Gen.listOfLength
                count
                (gen {
                    let! image = image
                    let! hasAlpha = Gen.elements [ true; false; false ]
                    let! seed = Gen.choose (0, 100)

                    let alpha =
                        if hasAlpha then
                            Some(flat 1 image.Height image.Width seed)
                        else
                            None

                    let! ticks =
                        Gen.elements [ None; Some 0L; Some DateTime.MaxValue.Ticks; Some 638_000_000_000_000_000L ]

                    let! profile =
                        Gen.elements [ None; None; Some [| 1uy; 2uy; 3uy |]; Some(Array.zeroCreate 300) ]

                    return image, alpha, ticks, profile
                })

        let! named = Gen.elements [ true; false ]

        return [
            for index, (image, alpha, ticks, profile) in List.indexed list ->
                LosslessPicture(
                    Option.toObj (if named then Some $"folder/picture {index} ä.png" else None),
                    image,
                    Option.toObj alpha,
                    Option.toNullable ticks,
                    Option.toObj profile
                )
        ]
    }

let private refused (file: string) models (expected: string) =
    Expect.throwsC (fun () -> read file models 1 |> ignore) (fun error ->
        Expect.isTrue (error :? InvalidDataException) $"{error.GetType().Name}: {error.Message}"
        Expect.stringContains error.Message expected "reason"
        Expect.stringStarts error.Message file "names the file"
        Expect.isFalse (error.Message.Contains '\n') "one line")

let private sample = [
    for seed in 0..2 do
        LosslessPicture($"{seed}.png", picture 3 30 20 seed, null, Nullable 5L, [| 1uy |])
        LosslessPicture($"{seed}g.png", noise 1 9 9 seed, flat 1 9 9 seed, Nullable(), null)
]

[<Tests>]
let tests =
    testList "Coding.LosslessFile" [
        testPropertyWithConfig
            {
                FsCheckConfig.defaultConfig with
                    maxTest = 60
            }
            "pictures come back as they went in"
        <| Prop.forAll (Arb.fromGen (Gen.zip pictures (Gen.elements [ 0; 1; 2 ]))) (fun (pictures, which) ->
            withFile (fun file ->
                let models =
                    match which with
                    | 0 -> CodingModels.None
                    | 1 -> CodingModels(models.Value.Color, null)
                    | _ -> models.Value

                write file models false 2 pictures
                let back = read file models 2
                Expect.equal (Array.map content back) (pictures |> Seq.map content |> Array.ofSeq) "pictures"))

        test "large pictures are cut into bands, which change nothing" {
            withFile (fun file ->
                let height, width = 700, 801

                let pictures = [
                    plain (noise 3 height width 7)
                    LosslessPicture("a", flat 3 height width 3, flat 1 height width 4, Nullable(), null)
                    plain (picture 1 3 5 1)
                ]

                write file CodingModels.None false 2 pictures

                Expect.equal
                    (read file CodingModels.None 3 |> Array.map content)
                    (pictures |> Seq.map content |> Array.ofSeq)
                    "pictures"

                use opened = LosslessFile.Open file
                let struct (raw, context, flat) = opened.ChunkModes
                Expect.isGreaterThan (raw + context + flat) 5 "bands")
        }

        test "noise costs no more than its bytes and a little" {
            withFile (fun file ->
                let image = noise 3 50 50 1
                write file models.Value false 1 [ plain image ]
                Expect.isLessThan (FileInfo(file).Length) (int64 image.Bytes.Length + 150L) "raw")
        }

        test "a file has the same bytes with any number of threads" {
            let many = [ for seed in 0..40 -> plain (picture 3 70 80 seed) ]

            let made = [
                for threads in [ 1; 2; 5 ] ->
                    inFolder (fun folder ->
                        let file = Path.Combine(folder, "file")
                        write file models.Value true threads many
                        Expect.equal (read file CodingModels.None threads |> Array.length) many.Length "decoded"
                        File.ReadAllBytes file)
            ]

            Expect.equal made[1] made[0] "two threads"
            Expect.equal made[2] made[0] "five threads"
        }

        test "a file's size is what the model says its pictures cost" {
            withFile (fun file ->
                let images = [ for seed in 0..29 -> picture 3 60 60 seed ]
                write file models.Value false 2 (images |> Seq.map plain)
                let model = nonNull models.Value.Color

                let bits =
                    ContextCoder.Learning(model).Bits(pixels model.Spec.Radius images, CancellationToken.None)

                let actual = 8.0 * float (FileInfo(file).Length)
                Expect.isLessThan (abs (actual / bits - 1.0)) 0.005 $"{actual} and {bits} bits")
        }

        test "one picture is read from its own chunk; damage elsewhere doesn't matter, and is named" {
            withFile (fun file ->
                let many = [ for seed in 0..60 -> plain (picture 3 70 80 seed) ]
                write file models.Value true 2 many
                let content' = File.ReadAllBytes file
                // a byte in the first chunk of several
                let models =
                    [ models.Value.Color; models.Value.Gray ]
                    |> List.sumBy (fun model -> (FrozenContextFile.Write(nonNull model)).Length)

                content'[8 + models + 1000] <- content'[8 + models + 1000] ^^^ 1uy
                File.WriteAllBytes(file, content')
                use opened = LosslessFile.Open file
                let resolved = opened.Resolve []
                let last = opened.ReadOne(60, resolved)
                Expect.equal (content last) (content many[60]) "the last picture"
                refused file CodingModels.None "chunk 0, pictures 0 to")
        }

        test "a file cut short anywhere is refused" {
            withFile (fun file ->
                write file models.Value true 1 sample
                let whole = File.ReadAllBytes file

                for length in [ 0; 1; 7; 8; 35; 36 ] @ [ 40 .. whole.Length / 40 .. whole.Length - 1 ] do
                    File.WriteAllBytes(file, whole[.. length - 1])
                    refused file CodingModels.None "")
        }

        test "a changed file is refused, or its pictures are as they were" {
            withFile (fun file ->
                write file models.Value true 1 sample
                let whole = File.ReadAllBytes file
                let random = Random 3

                for _ in 1..400 do
                    let changed = mutate random whole.Length [| 0uy; 127uy; 255uy |] whole
                    File.WriteAllBytes(file, changed)

                    try
                        let back = read file CodingModels.None 1
                        Expect.equal (Array.map content back) (sample |> Seq.map content |> Array.ofSeq) "pictures"
                    with :? InvalidDataException as error ->
                        Expect.isFalse (error.Message.Contains '\n') "one line")
        }

        test "a changed index with right checksums is refused, or read within bounds" {
            let whole =
                LosslessIndex(
                    1 <<< 17,
                    1 <<< 19,
                    [ ModelReference(3, String('a', 64), 0) ],
                    [ for picture in sample -> picture.Entry true ],
                    [ for i in 0u .. 3u -> ChunkRecord(ChunkMode.Raw, 100, i, i) ]
                )
                    .Write()

            let random = Random 4

            for _ in 1..3000 do
                let changed = mutate random whole.Length [| 0uy; 127uy; 255uy |] whole

                try
                    LosslessIndex.Read(ReadOnlySpan changed, 1_000_000L) |> ignore
                with :? InvalidDataException as error ->
                    Expect.isFalse (error.Message.Contains '\n') "one line"
        }

        test "absurd sizes are refused by the index, before memory is taken" {
            let entry width height =
                LosslessEntry(Width = width, Height = height, Channels = 3)

            for width, height in [ 1 <<< 20, 1 <<< 20; 100_000, 1000; 1 <<< 21, 1 ] do
                let index =
                    LosslessIndex(1 <<< 17, 1 <<< 19, [], [ entry width height ], []).Write()

                Expect.throwsT<InvalidDataException>
                    (fun () -> LosslessIndex.Read(ReadOnlySpan index, ImageFile.DefaultMaxPixels) |> ignore)
                    $"{width} × {height}"
        }

        test "a file whose model is another is refused by the model's name" {
            withFile (fun file ->
                write file models.Value false 1 sample
                let other = CodingModels(freeze (small 3) 77, models.Value.Gray)
                refused file other (nonNull models.Value.Color).Hash[..11]
                refused file CodingModels.None "--model FILE")
        }

        test "other files are told by what they are" {
            withFile (fun file ->
                File.WriteAllBytes(file, ImageFile.EncodePng(constant 3 4 4 1))
                refused file CodingModels.None "a PNG image"
                File.WriteAllBytes(file, [||])
                refused file CodingModels.None "an empty file")
        }

        test "the golden file is read as ever" {
            let file = fixture [ "lossless"; "golden.dqz" ]
            let back = read file CodingModels.None 2

            let expected = File.ReadAllLines(fixture [ "lossless"; "golden.txt" ])

            let actual = [|
                for picture in back -> $"{Sha256.Of(ReadOnlySpan picture.Colors.Bytes)}  {picture.Name}"
            |]

            Expect.equal actual expected "SHA-256 of planes"

            let learning =
                read (fixture [ "lossless"; "golden-learning.dqz" ]) CodingModels.None 2

            Expect.equal (Array.map content learning) (Array.map content back) "the same with a context that learns"
            use opened = LosslessFile.Open file
            Expect.equal opened.ChunkModes (struct (1, 1, 1)) "all modes are in it"
        }
    ]

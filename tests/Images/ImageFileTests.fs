module DQ.Tests.Images.ImageFileTests

open System
open System.IO
open System.Text
open Expecto
open SkiaSharp
open DQ.Core
open DQ.Core.Images
open DQ.Tests.TemporaryFolder

let private noise channels height width =
    let mutable random = SplitMix64 5L
    PixelImage(Array.init (channels * height * width) (fun _ -> byte (random.Next 256)), channels, height, width)

let private encode (format: SKEncodedImageFormat) (quality: int) (paint: int -> int -> SKColor) height width =
    use bitmap = new SKBitmap(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul)

    for y in 0 .. height - 1 do
        for x in 0 .. width - 1 do
            bitmap.SetPixel(x, y, paint y x)

    use data = bitmap.Encode(format, quality)
    data.ToArray()

let private message (run: unit -> PixelImage) =
    try
        run () |> ignore
        ""
    with :? InvalidDataException as problem ->
        problem.Message

/// A JPEG with an Exif segment that has nothing but the orientation.
let private withOrientation (jpeg: byte[]) orientation = [|
    yield! jpeg[..1]
    yield! [ 0xFFuy; 0xE1uy; 0uy; 34uy ]
    yield! Encoding.ASCII.GetBytes "Exif\000\000MM\000*\000\000\000\008"
    yield! [
        0uy
        1uy
        0x01uy
        0x12uy
        0uy
        3uy
        0uy
        0uy
        0uy
        1uy
        0uy
        byte orientation
        0uy
        0uy
        0uy
        0uy
        0uy
        0uy
    ]
    yield! jpeg[2..]
|]

let private bigEndian (value: int) =
    BitConverter.GetBytes value |> Array.rev

/// A chunk of a PNG file.
let private chunk (kind: string) (content: byte[]) =
    let body = Array.append (Encoding.ASCII.GetBytes kind) content
    let checksum = DQ.Core.Formats.Crc32.Of(ReadOnlySpan body)
    Array.concat [ bigEndian content.Length; body; bigEndian (int checksum) ]

/// A PNG with one chunk more, after its header.
let private withChunk (png: byte[]) kind content =
    Array.concat [ png[..32]; chunk kind content; png[33..] ]

/// A PNG whose header claims another size.
let private withSize (png: byte[]) width height =
    Array.concat [
        png[..7]
        chunk "IHDR" (Array.concat [ bigEndian width; bigEndian height; png[24..28] ])
        png[33..]
    ]

[<Tests>]
let tests =
    testList "Images.ImageFile" [
        for channels in [ 1; 3 ] do
            test $"PNG with {channels} channels comes back exactly" {
                let image = noise channels 7 5
                let back = ImageFile.Decode(ImageFile.EncodePng image)
                Expect.equal (back.Channels, back.Height, back.Width) (channels, 7, 5) "shape"
                Expect.equal back.Bytes image.Bytes "bytes"
            }

        for format in
            [
                SKEncodedImageFormat.Png
                SKEncodedImageFormat.Jpeg
                SKEncodedImageFormat.Webp
            ] do
            test $"{format} is read whatever the file is called" {
                inFolder (fun folder ->
                    let file = Path.Combine(folder, "picture.dat")

                    File.WriteAllBytes(
                        file,
                        encode format 100 (fun _ x -> if x < 16 then SKColors.Red else SKColors.Blue) 24 32
                    )

                    let image = ImageFile.Read file
                    Expect.equal (image.Channels, image.Height, image.Width) (3, 24, 32) "shape"
                    Expect.isGreaterThan (image.Plane(0)[0]) 240uy "red on the left"
                    Expect.isLessThan (image.Plane(0)[31]) 15uy "none on the right"
                    Expect.isGreaterThan (image.Plane(2)[31]) 240uy "but blue")
            }

        test "a gray JPEG has one channel" {
            use bitmap = new SKBitmap(16, 16, SKColorType.Gray8, SKAlphaType.Opaque)
            bitmap.Erase(SKColor(100uy, 100uy, 100uy))
            use data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 100)
            let image = ImageFile.Decode(data.ToArray())
            Expect.equal image.Channels 1 "channels"
            Expect.all image.Bytes (fun value -> abs (int value - 100) <= 1) "level"
        }

        test "transparency shows white" {
            let paint _ x =
                SKColor(
                    200uy,
                    100uy,
                    0uy,
                    (if x = 0 then 0uy
                     elif x = 1 then 255uy
                     else 51uy)
                )

            let image = ImageFile.Decode(encode SKEncodedImageFormat.Png 100 paint 1 3)
            Expect.equal (image.Plane(0).ToArray()) [| 255uy; 200uy; 244uy |] "red: clear, opaque, a fifth"
            Expect.equal (image.Plane(2).ToArray()) [| 255uy; 0uy; 204uy |] "blue"
        }

        test "a camera's orientation is followed" {
            // quadrants of four grays, stored 32×64
            let height, width = 32, 64
            let level y x = 40 + 60 * (2 * (y / 16) + x / 32)

            let gray y x =
                let value = byte (level y x) in SKColor(value, value, value)

            let jpeg = encode SKEncodedImageFormat.Jpeg 100 gray height width
            // where the stored first row and first column belong, by Exif 2.3 table of tag 274
            let upright orientation y x =
                match orientation with
                | 1 -> y, x
                | 2 -> y, width - 1 - x
                | 3 -> height - 1 - y, width - 1 - x
                | 4 -> height - 1 - y, x
                | 5 -> x, y
                | 6 -> x, height - 1 - y
                | 7 -> width - 1 - x, height - 1 - y
                | _ -> width - 1 - x, y

            for orientation in 1..8 do
                let image = ImageFile.Decode(withOrientation jpeg orientation)

                Expect.equal
                    (image.Height, image.Width)
                    (if orientation < 5 then 32, 64 else 64, 32)
                    $"shape {orientation}"

                for y, x in [ 5, 5; 5, 60; 27, 5; 27, 60 ] do
                    let row, column = upright orientation y x

                    Expect.isLessThan
                        (abs (int (image.Plane(0)[row * image.Width + column]) - level y x))
                        4
                        $"{orientation}: {y}, {x}"
        }

        test "a PNG file is turned as its eXIf chunk says, in either byte order" {
            let image = noise 3 4 6
            let png = ImageFile.EncodePng image
            // a JPEG's segment: marker, length, prefix, and then what the chunk holds
            let segment orientation =
                (withOrientation [| 0xFFuy; 0xD8uy |] orientation)[6..]

            let little orientation =
                Array.append "II*\000\008\000\000\000\001\000"B [|
                    0x12uy
                    1uy
                    3uy
                    0uy
                    1uy
                    0uy
                    0uy
                    0uy
                    byte orientation
                    0uy
                    0uy
                    0uy
                |]

            for orientation in 0..9 do
                for exif in [ (segment orientation)[6..]; segment orientation; little orientation ] do
                    let turned = ImageFile.Decode(withChunk png "eXIf" exif)

                    Expect.equal
                        (turned.Height, turned.Width)
                        (if orientation >= 5 && orientation <= 8 then 6, 4 else 4, 6)
                        $"shape {orientation}"

                    let y, x =
                        match orientation with
                        | 2 -> 0, 5
                        | 3 -> 3, 5
                        | 4 -> 3, 0
                        | 6 -> 3, 0
                        | 7 -> 3, 5
                        | 8 -> 0, 5
                        | _ -> 0, 0

                    Expect.equal (turned.Plane(0)[0]) (image.Plane(0)[y * 6 + x]) $"first pixel {orientation}"

            for length in 0..25 do
                let torn =
                    ImageFile.Decode(withChunk png "eXIf" (Array.truncate length (segment 6)))

                Expect.isTrue (torn.Width = 6 || torn.Width = 4) "a torn one is no reason to refuse the image"
        }

        test "sizes are looked at before memory is taken" {
            let png = ImageFile.EncodePng(noise 3 4 6)
            let most = ImageFile.DefaultMaxPixels

            for width, height, most, said in
                [
                    100_000, 100_000, most, "expected at most 67108864 pixels (data.max_pixels), got 100000 × 100000"
                    8_000, 8_000, most, "can't hold the 8000 × 8000 pixels it claims"
                    4, 6, 23L, "expected at most 23 pixels (data.max_pixels), got 4 × 6"
                ] do
                let claims = withSize png width height
                let before = GC.GetAllocatedBytesForCurrentThread()
                Expect.stringContains (message (fun () -> ImageFile.Decode(claims, most))) said said
                Expect.isLessThan (GC.GetAllocatedBytesForCurrentThread() - before) 1_000_000L "memory"

            for format in
                [
                    SKEncodedImageFormat.Png
                    SKEncodedImageFormat.Jpeg
                    SKEncodedImageFormat.Webp
                ] do
                use bitmap = new SKBitmap(1000, 1000)
                bitmap.Erase SKColors.White
                use data = bitmap.Encode(format, 1)
                let white = data.ToArray()
                Expect.equal (ImageFile.Decode white).Width 1000 $"{format}: one that is packed well is none that lies"

            inFolder (fun folder ->
                let file = Path.Combine(folder, "large.png")

                (use large = File.Create file
                 large.SetLength(ImageFile.MostBytes 1L + 1L))

                Expect.stringStarts
                    (message (fun () -> ImageFile.Read(file, 1L)))
                    $"{file}: expected at most"
                    "a file beyond all images")
        }

        test "a text file named .png is refused by name" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "notes.png")
                File.WriteAllText(file, "no picture")

                Expect.equal
                    (message (fun () -> ImageFile.Read file))
                    $"{file}: expected a PNG, JPEG or WebP image, got text"
                    "message")
        }

        test "what is no image says what it is" {
            Expect.stringEnds (message (fun () -> ImageFile.Decode [||])) "got an empty file" "empty"
            Expect.stringEnds (message (fun () -> ImageFile.Decode [| 0uy .. 99uy |])) "got something else" "bytes"

            let gif =
                Convert.FromBase64String "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

            Expect.stringEnds (message (fun () -> ImageFile.Decode gif)) "got Gif" "another format"
        }

        test "a truncated file is refused" {
            for format in
                [
                    SKEncodedImageFormat.Png
                    SKEncodedImageFormat.Jpeg
                    SKEncodedImageFormat.Webp
                ] do
                let whole =
                    encode format 90 (fun y x -> SKColor(byte (x * 7), byte (y * 5), byte (x * y))) 64 64

                Expect.stringContains
                    (message (fun () -> ImageFile.Decode whole[.. whole.Length / 2]))
                    "got a damaged one"
                    $"{format}"

                Expect.stringContains
                    (message (fun () -> ImageFile.Decode whole[..9]))
                    "got a damaged one"
                    $"{format}, not even a header"
        }
    ]

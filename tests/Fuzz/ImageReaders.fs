/// Readers of images and of data sources.
module DQ.Tests.Fuzz.ImageReaders

open System
open System.IO
open System.IO.Compression
open System.Threading
open Expecto
open DQ.Core.Images
open DQ.Core.Formats
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.Data.Zips
open DQ.Tests.Fuzz.Target

let private image format =
    use bitmap = new SkiaSharp.SKBitmap(9, 7)

    for y in 0..6 do
        for x in 0..8 do
            bitmap.SetPixel(x, y, SkiaSharp.SKColor(byte (x * 20), byte (y * 30), byte (x * y)))

    use data = bitmap.Encode(format, 90)
    data.ToArray()

let private images =
    lazy
        ([
            SkiaSharp.SKEncodedImageFormat.Png
            SkiaSharp.SKEncodedImageFormat.Jpeg
            SkiaSharp.SKEncodedImageFormat.Webp
         ]
         |> List.map image)

let private ingest (config: DataConfig) (folder: string) =
    let packed = Path.Combine(folder, "packed", "set")

    let outcome =
        Ingest.run (FileHashes()) config "set" packed (fun _ _ -> ()) CancellationToken.None

    let left =
        if Directory.Exists(Path.Combine(folder, "packed")) then
            Directory.GetFileSystemEntries(Path.Combine(folder, "packed"))
        else
            [||]

    match outcome with
    | Ok _ -> Expect.equal left [| packed |] "whole and alone"
    | Error _ -> Expect.isEmpty left "nothing half-written"

    outcome |> Result.map ignore

let private small = {
    leaves with
        ImageSize = Some 8
        Validation = 0.0
        Test = 0.0
        MaxCorrupt = 0.5
}

/// The files of a folder, of which one is changed.
let private inSource kind (name: string) (others: (string * byte[]) list) (files: byte[] list) title = {
    Name = title
    Files = files
    Read =
        fun folder content ->
            let source = Path.Combine(folder, "source")
            writeTree source (others @ [ name, content ])

            ingest
                {
                    small with
                        Source = kind
                        Path = source
                }
                folder
}

let private zipOfImages =
    lazy
        (bytes [
            for index, content in List.indexed images.Value do
                yield entry $"a/{index}.png" content
            yield entry "b/1.png" images.Value[0]
            yield {
                old (latin "x\132/2.png") images.Value[1] with
                    Extra = unicodePath (latin "x\132/2.png") "ä/2.png"
            }
        ])

let private tinyImageNet =
    lazy
        (let text (lines: string list) =
            System.Text.Encoding.UTF8.GetBytes(String.concat "\n" lines)

         bytes [
             for wnid in [ "n1"; "n2" ] do
                 yield entry $"t/train/{wnid}/images/1.JPEG" images.Value[1]
             yield entry "t/val/images/v.JPEG" images.Value[1]
             yield entry "t/val/val_annotations.txt" (text [ "v.JPEG\tn1\t0\t0\t9\t9" ])
             yield entry "t/words.txt" (text [ "n1\tgoldfish, Carassius"; "n2\tnewt" ])
         ])

let private mat =
    lazy
        (let element kind (data: byte[]) = [|
            yield! BitConverter.GetBytes(kind: int)
            yield! BitConverter.GetBytes data.Length
            yield! data
            yield! Array.zeroCreate ((8 - data.Length % 8) % 8)
         |]

         let matrix (name: string) (sizes: int list) (values: byte[]) =
             Array.concat [
                 element 6 [| 9uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0uy |]
                 element 5 (sizes |> List.toArray |> Array.collect BitConverter.GetBytes)
                 element 1 (latin name)
                 element 2 values
             ]
             |> element 14

         let packed (content: byte[]) =
             inMemory (fun memory ->
                 use z = new ZLibStream(memory, CompressionLevel.Fastest, leaveOpen = true)
                 z.Write(content, 0, content.Length))

         let head =
             Array.concat [ latin ("MATLAB 5.0 MAT-file".PadRight 124); [| 0uy; 1uy |]; "IM"B ]

         let pixels = matrix "X" [ 32; 32; 3; 2 ] (Array.init 6144 byte)
         let labels = matrix "y" [ 2; 1 ] [| 1uy; 10uy |]
         let squeezed = packed pixels

         [
             Array.concat [ head; pixels; labels ]
             Array.concat [
                 head
                 BitConverter.GetBytes 15
                 BitConverter.GetBytes squeezed.Length
                 squeezed
                 labels
             ]
         ])

let private batch (path: string) =
    use read = DownsampledBatch.Open(path, DQ.Core.Formats.InflatedFiles())
    let pixels = Array.zeroCreate (3 * read.Size * read.Size)

    for index in 0 .. min 3 (read.Count - 1) do
        read.Read(index, pixels.AsSpan())

let readers =
    lazy
        [
            throwing "image file" images.Value (fun path -> ImageFile.Read path |> ignore)
            inSource SourceKind.Folder "a/x.png" [ "a/1.png", images.Value[0] ] images.Value "image folder"
            {
                Name = "zip of images"
                Files = [ zipOfImages.Value ]
                Read =
                    fun folder content ->
                        ingest
                            {
                                small with
                                    Source = SourceKind.Folder
                                    Path = inFile folder "images.zip" content
                            }
                            folder
            }
            {
                Name = "Tiny ImageNet's zip"
                Files = [ tinyImageNet.Value ]
                Read =
                    fun folder content ->
                        ingest
                            {
                                small with
                                    Source = SourceKind.TinyImageNet
                                    Path = inFile folder "tiny.zip" content
                            }
                            folder
            }
            inSource
                SourceKind.Idx
                "train-images-idx3-ubyte"
                [ "train-labels-idx1-ubyte", idxLabels [ 0; 2; 1 ] ]
                [ idxImages 3 5 4 ]
                "idx"
            inSource SourceKind.Idx "train-images-idx3-ubyte.gz" [] [ gzipped (idxImages 3 5 4) ] "idx, gzip"
            inSource
                SourceKind.Idx
                "train-labels-idx1-ubyte"
                [ "train-images-idx3-ubyte", idxImages 3 5 4 ]
                [ idxLabels [ 0; 2; 1 ] ]
                "idx labels"
            inSource SourceKind.Svhn "train_32x32.mat" [ "test_32x32.mat", mat.Value[0] ] mat.Value "SVHN"
            inSource
                SourceKind.Cifar10
                "data_batch_1.bin"
                [
                    for name in [ "data_batch_2"; "data_batch_3"; "data_batch_4"; "data_batch_5"; "test_batch" ] ->
                        $"{name}.bin", Array.zeroCreate 3073
                ]
                [ Array.init 6146 (fun place -> byte (place % 7)) ]
                "CIFAR-10"
            throwing "down-sampled ImageNet, pickled" (allOf [ "imagenet"; "forms" ] "*") batch
            throwing "down-sampled ImageNet, npz" (allOf [ "imagenet"; "npz" ] "*.npz") batch
        ]

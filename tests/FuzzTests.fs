/// Every reader of files against real files that were changed and cut short at random: each is read, or refused with an exit code
/// that a user's file may cause, within bounds on memory and time, and leaves nothing half-written. The cases are a function of their
/// number: `DQ_FUZZ_CASES=50000` runs more of them, `DQ_FUZZ_FIRST` begins elsewhere.
module DQ.Tests.FuzzTests

open System
open System.Collections.Generic
open System.IO
open System.IO.Compression
open System.Threading
open System.Threading.Tasks
open Expecto
open TorchSharp
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Codes
open DQ.Core.Images
open DQ.Core.Training
open DQ.Core.Formats
open DQ.Core.Published
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Pipeline.Data
open DQ.Tests.Autoencoders.HierarchicalAutoencoderTests
open DQ.Tests.Data.Samples
open DQ.Tests.Data.Zips
open DQ.Tests.Fixtures
open DQ.Tests.Sessions
open DQ.Tests.TemporaryFolder

/// A reader, real files for it, and how it is called on a changed one.
type private Target = {
    Name: string
    Files: byte[] list
    /// In an empty folder; an error is the reader's refusal.
    Read: string -> byte[] -> Result<unit, StageError>
}

let private mostBytes = 1L <<< 30

/// A case takes milliseconds; one that takes so long hangs.
let private patience = TimeSpan.FromMinutes 2.0

let private variable name otherwise =
    match Environment.GetEnvironmentVariable name with
    | null
    | "" -> otherwise
    | text -> int text

let private inFile (folder: string) name (content: byte[]) =
    let path = Path.Combine(folder, name)
    File.WriteAllBytes(path, content)
    path

/// A reader that says what is wrong by an exception.
let private throwing name files (read: string -> unit) = {
    Name = name
    Files = files
    Read = fun folder content -> Ok(read (inFile folder "file" content))
}

let private bytesOf parts = File.ReadAllBytes(fixture parts)

let private allOf parts (pattern: string) = [
    for file in
        Directory.GetFiles(fixture parts, pattern, SearchOption.AllDirectories)
        |> Array.sort -> File.ReadAllBytes file
]

let private inMemory (write: Stream -> unit) =
    use memory = new MemoryStream()
    write memory
    memory.ToArray()

let private gzipped (content: byte[]) =
    inMemory (fun memory ->
        use packed = new GZipStream(memory, CompressionMode.Compress, leaveOpen = true)
        packed.Write(content, 0, content.Length))

let private written (write: string -> unit) =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "file")
        write path
        File.ReadAllBytes path)

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
            Text.Encoding.UTF8.GetBytes(String.concat "\n" lines)

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

let private session = lazy (ofAutoencoder (tiny, TrainingSpec(), 0L, torch.CPU))

/// A run's folder with checkpoints of two steps.
let private checkpoints =
    lazy
        (inFolder (fun folder ->
            let state step = {
                LoopState.start tiny.Levels tiny.Codebooks with
                    Step = step
            }

            for step in [ 0L ] do
                Checkpoints.add folder session.Value.Save (state step)

            [
                for file in Directory.GetFiles(Path.Combine(folder, RunLayout.Checkpoints)) |> Array.sort ->
                    string (Path.GetFileName file), File.ReadAllBytes file
            ]))

let private readCheckpoint (name: string) = {
    Name = $"checkpoint, {Path.GetExtension name}"
    Files = [
        for other, content in checkpoints.Value do
            if other = name then
                content
    ]
    Read =
        fun folder content ->
            writeTree (Path.Combine(folder, RunLayout.Checkpoints)) [
                for other, whole in checkpoints.Value -> other, (if other = name then content else whole)
            ]

            match Checkpoints.newestWhole folder with
            | None, problems -> Expect.isNonEmpty problems "said"
            | Some state, _ ->
                use read = Checkpoint.Open(Checkpoints.weights folder state.Step)
                use model = read.Model()
                model |> ignore

            Ok()
}

let private packedSet =
    lazy
        (inFolder (fun folder ->
            Ingest.run
                (FileHashes())
                { leaves with Count = 12 }
                "set"
                (Path.Combine(folder, "set"))
                (fun _ _ -> ())
                CancellationToken.None
            |> ok
            |> ignore

            [
                for file in Directory.GetFiles(Path.Combine(folder, "set")) |> Array.sort ->
                    string (Path.GetFileName file), File.ReadAllBytes file
            ]))

let private readPacked (name: string) = {
    Name = $"packed set, {name}"
    Files = [
        for other, content in packedSet.Value do
            if other = name then
                content
    ]
    Read =
        fun folder content ->
            writeTree folder [
                for other, whole in packedSet.Value -> other, (if other = name then content else whole)
            ]

            Dataset.check (FileHashes()) folder
            |> Result.bind Dataset.open'
            |> Result.map (fun set ->
                use opened = set

                for part in [ set.Train; set.Validation; set.Test ] do
                    for index in 0 .. part.Images.Count - 1 do
                        part.Images[index].Length |> ignore)
}

let private codes =
    lazy
        (let header =
            CodesHeader(
                Model = String('a', 64),
                Run = "run",
                Channels = 3,
                Levels = [| CodesLevel(16, 2, 4, 2); CodesLevel(5, 1, 3, 4) |],
                Count = 2,
                Sizes = [| ImageSize(8, 6) |],
                Names = [| "1.png"; "2.png" |]
            )

         let image = [|
             Array.init 32 (fun place -> place % 16)
             Array.init 4 (fun place -> place % 5)
         |]

         written (fun path -> CodesFile.Write(path, header, [ image; image ])))

let private readCodes (path: string) =
    use file = CodesFile.Open path

    for image in 0 .. file.Header.Count - 1 do
        file.Read image |> ignore

let private runRecord =
    lazy
        (written (fun path ->
            ArtifactJson.Write(
                path,
                RunRecord(
                    Id = "2026-01-01-x-1234567",
                    Name = "x",
                    Variant = "dq",
                    Kind = RunKind.Train,
                    Status = RunStatus.Completed,
                    Fingerprint = "f",
                    Seed = 1L,
                    Config = Settings.toTree Settings.defaults,
                    Parents = [| Parent("dataset", "d", "f") |],
                    Software = SoftwareRecord("1", "2", "3", "4", "5"),
                    Device = "cpu",
                    Threads = 2,
                    StartedUtc = DateTime.UnixEpoch,
                    UpdatedUtc = DateTime.UnixEpoch,
                    Steps = 10L
                )
            )))

let private configuration =
    """{ "extends": null, "data": { "source": "dead_leaves", "image_size": 16, "validation": 0.1 }, // comment
      "model": { "codes": [32, 64], "quantizer": { "kind": "depthwise" } }, "training": { "steps": 10 },
      "variants": { "a": { "seed": 1 }, "b": null } }"""
    |> Text.Encoding.UTF8.GetBytes

let private ini =
    "[train]\ndataset: cifar10\nuse_amp = False\nEPOCHS = 30\n[model]\nchannel = 8\nn_hier = [8, 8]\n[test]\nmodel_path = best.pt\n"B

let private importWeights key (path: string) =
    use source = WeightsSource.Open(path, key)
    source.NonFinite() |> ignore

    match source.Spec with
    | null -> ()
    | spec when spec.Channels <= 64 && spec.Levels <= 3 ->
        use model = new HierarchicalAutoencoder(spec)
        source.Fill model
    | _ -> ()

let private batch (path: string) =
    use read = DownsampledBatch.Open(path, DQ.Core.Formats.InflatedFiles())
    let pixels = Array.zeroCreate (3 * read.Side * read.Side)

    for index in 0 .. min 3 (read.Count - 1) do
        read.Read(index, pixels.AsSpan())

let private parity (path: string) = (ParityFile.Open path).Dispose()

let private targets =
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
            throwing "PyTorch files" (allOf [ "pytorch" ] "*.pt") (importWeights null)
            throwing "PyTorch files by key" [ bytesOf [ "pytorch"; "nested.pt" ] ] (importWeights "state_dict")
            throwing
                "networks' weights"
                [ bytesOf [ "pytorch"; "legacy.pt" ]; bytesOf [ "pytorch"; "tensors.pt" ] ]
                (fun path ->
                    use file = TensorFile.Open path

                    for name in List.ofSeq file.Shapes.Keys do
                        (file.Read name).Dispose())
            throwing
                "safetensors"
                [
                    bytesOf [ "torchvision"; "logits.safetensors" ]
                    written (fun path -> WeightsExport.Write(path, session.Value.Model, WeightNames.Ours, 3L))
                ]
                (importWeights null)
            throwing
                "parity files"
                [
                    bytesOf [ "parity"; "likelihood.safetensors" ]
                    bytesOf [ "parity"; "vq-mse-1level.safetensors" ]
                ]
                parity
            for name, _ in checkpoints.Value do
                readCheckpoint name
            for name, _ in packedSet.Value do
                readPacked name
            throwing "codes" [ codes.Value ] readCodes
            throwing "run.json" [ runRecord.Value ] (fun path -> ArtifactJson.Read<RunRecord> path |> ignore)
            {
                Name = "configuration"
                Files = [ configuration ]
                Read = fun folder content -> Config.load (inFile folder "x.json" content) [] |> Result.map ignore
            }
            throwing "published INI" [ ini ] (fun path -> PublishedConfig.Read path |> Published.ofConfig |> ignore)
        ]

let private likely =
    Array.append [| 0uy; 1uy; 2uy; 127uy; 128uy; 255uy |] "0123456789{}[],:\"-.()RbtB/\\PK\n"B

/// The content that a case's number stands for.
let private changed (number: int) (files: byte[] list) =
    let random = Random number
    let whole = files[random.Next files.Length]

    match random.Next 8 with
    | 0 -> whole[.. random.Next(whole.Length + 1) - 1]
    | 1 -> mutate random 64 likely whole
    | 2 ->
        // what archives keep at their end
        let tail = min whole.Length 200
        Array.append whole[.. whole.Length - tail - 1] (mutate random tail likely whole[whole.Length - tail ..])
    | 3 ->
        // a length or an offset that is none
        let copy = Array.copy whole

        if copy.Length > 8 then
            let value = [|
                0UL
                0xFFFFFFFFUL
                0x7FFFFFFFUL
                0x7FFFFFFFFFFFFFFFUL
                0xFFFFFFFFFFFFFFFFUL
                0x80000000UL
            |]

            let at = random.Next(copy.Length - 8)
            let bytes = BitConverter.GetBytes value[random.Next value.Length]
            let bytes = if random.Next 2 = 0 then bytes else Array.rev bytes
            Array.blit bytes 0 copy at (if random.Next 2 = 0 then 4 else 8)

        copy
    | 4 ->
        let other = files[random.Next files.Length]
        Array.append whole[.. random.Next whole.Length - 1] other[random.Next other.Length ..]
    | 5 -> mutate random 1024 likely whole
    | _ -> mutate random Int32.MaxValue likely whole

let private allowed = set [ 2; 3; 4; 5 ]

/// What a case shows; None where it is as it should be.
let private find (target: Target) number =
    let content = changed number target.Files

    inFolder (fun folder ->
        let work () =
            let before = GC.GetAllocatedBytesForCurrentThread()

            let problem =
                try
                    match target.Read folder content with
                    | Ok() -> None
                    | Error error when allowed.Contains(StageError.exitCode error) ->
                        match StageError.lines error |> List.tryFind _.Contains('\n') with
                        | Some line -> Some $"more than one line: {line}"
                        | None -> None
                    | Error error -> Some $"{error}"
                with error ->
                    match Stage.expected (fun () -> Interrupted 2) error with
                    | Some expected when allowed.Contains(StageError.exitCode expected) -> None
                    | _ -> Some $"{error}"

            problem, GC.GetAllocatedBytesForCurrentThread() - before

        let task = Task.Run work

        if not (task.Wait patience) then
            Some "hangs"
        else
            match task.Result with
            | Some problem, _ -> Some problem
            | None, bytes when bytes > mostBytes -> Some $"took {bytes} bytes"
            | None, _ -> None)

[<Tests>]
let tests =
    testSequenced
    <| testList "Fuzz" [
        test "changed and truncated files are read or refused" {
            let cases = variable "DQ_FUZZ_CASES" 2500
            let first = variable "DQ_FUZZ_FIRST" 0
            let targets = Array.ofList targets.Value
            let finds = List<string>()

            for number in first .. first + cases - 1 do
                let target = targets[number % targets.Length]

                match find target number with
                | None -> ()
                | Some problem when finds.Count < 100 -> finds.Add $"case {number}, {target.Name}: {problem}"
                | Some _ -> ()

            if cases > 10_000 then
                use self = Diagnostics.Process.GetCurrentProcess()

                printfn
                    $"{cases} cases over {targets.Length} readers, {finds.Count} finds, peak of {self.PeakWorkingSet64 / 1_000_000L} MB"

            Expect.isEmpty finds (String.concat "\n" finds)
        }
    ]

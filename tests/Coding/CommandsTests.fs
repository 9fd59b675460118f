/// `dq compress`, `decompress` and `info` as processes.
module DQ.Tests.Coding.CommandsTests

open System
open System.IO
open System.Text.Json
open Expecto
open DQ.Core.Coding
open DQ.Core.Formats
open DQ.Core.Images
open DQ.Core.Likelihoods.Context
open DQ.Core.Training
open DQ.Tests.Coding.Models
open DQ.Tests.Pipeline.Program
open DQ.Tests.TemporaryFolder
open TorchSharp

/// A head with these weights.
let private headOf (weights: ContextWeights) =
    let head = new ContextHead(weights.Spec)
    use _ = torch.no_grad ()
    let layers = [ weights.Enter; yield! weights.Hidden; weights.Leave ]
    let values = layers |> List.collect (fun layer -> [ layer.Weight; layer.Bias ])

    for struct (_, parameter), value in Seq.zip (head.named_parameters ()) values do
        use value = torch.tensor value
        parameter.copy_ (value.reshape parameter.shape) |> ignore

    head

/// A color picture without edges: no color is so unlikely that its least frequency would count.
let private slope height width =
    let random = Random 4
    let image = PixelImage(3, height, width)

    for index in 0 .. image.Bytes.Length - 1 do
        let row, column = index / width % height, index % width
        image.Bytes[index] <- byte (100 + row + column + random.Next 3)

    image

let private succeeded (finished: Finished) =
    Expect.equal finished.ExitCode 0 finished.Errors
    finished.Output

let private failed exitCode (reason: string) (finished: Finished) =
    Expect.equal finished.ExitCode exitCode finished.Errors
    Expect.equal (finished.Errors.Trim().Split('\n').Length) 1 $"one line: {finished.Errors}"
    Expect.stringContains finished.Errors reason "reason"

let private under (environment: string) arguments =
    finish (startAfter environment arguments)

/// A folder of pictures of all kinds.
let private makePictures folder =
    let time = DateTime(2024, 2, 29, 12, 34, 56, DateTimeKind.Utc)
    Directory.CreateDirectory(Path.Combine(folder, "inner")) |> ignore
    let opacity = picture 1 20 31 9

    for name, image in
        [
            "color.png", StoredImage(picture 3 33 47 1, null, null)
            "inner/gray.png", StoredImage(picture 1 20 31 2, null, Array.init 500 byte)
            "inner/clear.png", StoredImage(picture 3 20 31 3, opacity, [| 1uy; 2uy |])
            "dot.png", StoredImage(noise 3 1 1 4, null, null)
        ] do
        let file = Path.Combine(folder, name)
        File.WriteAllBytes(file, ImageFile.EncodePng image)
        File.SetLastWriteTimeUtc(file, time)

/// A PNG file of black pixels with 16 bits for each of three channels.
let private deepPng (width: int) (height: int) =
    use file = new MemoryStream()

    let number (value: int) =
        BitConverter.GetBytes value |> Array.rev

    let chunk (name: string) (body: byte[]) =
        let content = Array.append (Text.Encoding.ASCII.GetBytes name) body
        file.Write(ReadOnlySpan(number body.Length))
        file.Write(ReadOnlySpan content)
        file.Write(ReadOnlySpan(number (int (Crc32.Of(ReadOnlySpan content)))))

    let packed =
        use packed = new MemoryStream()

        (use zlib = new Compression.ZLibStream(packed, Compression.CompressionLevel.Fastest)
         zlib.Write(ReadOnlySpan(Array.zeroCreate<byte>(height * (1 + 6 * width)))))

        packed.ToArray()

    file.Write(ReadOnlySpan [| 0x89uy; 0x50uy; 0x4Euy; 0x47uy; 13uy; 10uy; 26uy; 10uy |])
    chunk "IHDR" (Array.concat [ number width; number height; [| 16uy; 2uy; 0uy; 0uy; 0uy |] ])
    chunk "IDAT" packed
    chunk "IEND" [||]
    file.ToArray()

let private modelFile folder channels =
    let file = Path.Combine(folder, $"{channels}.dqm")
    File.WriteAllBytes(file, FrozenContextFile.Write(freeze (small channels) channels))
    file

let private planes (file: string) =
    let image = ImageFile.DecodeStored(File.ReadAllBytes file)

    image.Colors.Channels,
    List.ofArray image.Colors.Bytes,
    (match image.Alpha with
     | NonNull alpha -> List.ofArray alpha.Bytes
     | Null -> []),
    (match image.Profile with
     | NonNull profile -> List.ofArray profile
     | Null -> [])

[<Tests>]
let tests =
    testList "Coding.Commands" [
        test "a folder comes back: names, pixels, opacities, times, profiles" {
            inFolder (fun folder ->
                let source, target = Path.Combine(folder, "in"), Path.Combine(folder, "out")
                makePictures source
                let file = Path.Combine(folder, "all.dqz")
                let output = succeeded (run [ "compress"; source; "-o"; file; "--check"; "--json" ])
                let json = JsonDocument.Parse(output).RootElement
                Expect.equal (json.GetProperty("pictures").GetInt32()) 4 "pictures"
                Expect.equal (json.GetProperty("file_bytes").GetInt64()) (FileInfo(file).Length) "bytes"
                succeeded (run [ "decompress"; file; "-o"; target; "--quiet" ]) |> ignore

                for name in [ "color.png"; "inner/gray.png"; "inner/clear.png"; "dot.png" ] do
                    let one, other = Path.Combine(source, name), Path.Combine(target, name)
                    Expect.equal (planes other) (planes one) name
                    Expect.equal (File.GetLastWriteTimeUtc other) (File.GetLastWriteTimeUtc one) name

                let shown = succeeded (run [ "info"; file; "--list" ])
                Expect.stringContains shown "inner/clear.png" "list"
                Expect.stringContains shown "color and alpha" "kind")
        }

        test "files are the same whatever instructions and threads made them, and each reads the other's" {
            inFolder (fun folder ->
                let source = Path.Combine(folder, "in")
                makePictures source
                let color, gray = modelFile folder 3, modelFile folder 1

                let environments = [
                    ""
                    "export DOTNET_EnableAVX512F=0; "
                    "export DOTNET_EnableAVX2=0; "
                    "export DOTNET_EnableHWIntrinsic=0; "
                ]

                let made = [
                    for index, environment in List.indexed environments do
                        let file = Path.Combine(folder, $"{index}.dqz")

                        under environment [
                            "compress"
                            source
                            "-o"
                            file
                            "--model"
                            color
                            "--model"
                            gray
                            "--with-model"
                            "--threads"
                            string (1 + index)
                        ]
                        |> succeeded
                        |> ignore

                        file, environment
                ]

                let first = File.ReadAllBytes(fst made[0])

                for file, environment in made do
                    Expect.equal (File.ReadAllBytes file) first environment

                for environment in [ environments[0]; environments[3] ] do
                    let target = Path.Combine(folder, "out")

                    under environment [ "decompress"; fst made[0]; "-o"; target; "--threads"; "2" ]
                    |> succeeded
                    |> ignore

                    Expect.equal
                        (planes (Path.Combine(target, "color.png")))
                        (planes (Path.Combine(source, "color.png")))
                        environment

                    Directory.Delete(target, true))
        }

        test "what can't be used ends with one line and exit code 3, and leaves nothing" {
            inFolder (fun folder ->
                let source, target = Path.Combine(folder, "in"), Path.Combine(folder, "out")
                makePictures source
                let file = Path.Combine(folder, "all.dqz")
                let color = modelFile folder 3
                failed 3 "expected an image" (run [ "compress"; Path.Combine(folder, "none.png"); "-o"; file ])
                let text = Path.Combine(folder, "text.png")
                File.WriteAllText(text, "no picture")

                failed 3 "text.png" (run [ "compress"; text; "-o"; file; "--quiet" ])
                Expect.isFalse (File.Exists file) "nothing is left"
                Expect.isEmpty (Directory.GetFiles(folder, "*.tmp")) "nothing is left"

                failed
                    3
                    "text.png"
                    (run [
                        "compress"
                        text
                        Path.Combine(source, "color.png")
                        "-o"
                        file
                        "--check"
                        "--quiet"
                    ])

                let others = Path.Combine(folder, "others")
                succeeded (run [ "decompress"; file; "-o"; others; "--quiet" ]) |> ignore
                Expect.equal (Directory.GetFiles others |> Array.map Path.GetFileName) [| "color.png" |] "the others"

                succeeded (run [ "compress"; source; "-o"; file; "--model"; color; "--quiet" ])
                |> ignore

                failed 3 "--model FILE" (run [ "decompress"; file; "-o"; target ])
                let whole = File.ReadAllBytes file
                File.WriteAllBytes(file, whole[.. whole.Length - 2])
                failed 3 "cut short" (run [ "decompress"; file; "-o"; target; "--model"; color ])
                whole[20] <- whole[20] ^^^ 1uy
                File.WriteAllBytes(file, whole)
                failed 3 "chunk 0" (run [ "decompress"; file; "-o"; target; "--model"; color; "--quiet" ])

                Expect.equal
                    (Directory.GetFiles(target, "*", SearchOption.AllDirectories))
                    [| Path.Combine(target, "inner/gray.png") |]
                    "only what no damaged chunk is part of"

                failed 2 "--threads" (run [ "compress"; source; "-o"; file; "--threads"; "0" ]))
        }

        test
            "past a damaged chunk all whole pictures are written; each damaged chunk has its line, and the exit code is 3" {
            inFolder (fun folder ->
                let file, target = Path.Combine(folder, "all.dqz"), Path.Combine(folder, "out")
                // two pictures fit a chunk
                let all = [ for seed in 0..8 -> noise 3 200 250 seed ]

                DQ.Core.AtomicFile.Write(
                    file,
                    fun stream ->
                        let writer =
                            LosslessWriter(stream, CodingModels.None, false, 1, Threading.CancellationToken.None)

                        for image in all do
                            writer.Add(LosslessPicture(null, image, null, Nullable(), null))

                        writer.Finish()
                )

                let content = File.ReadAllBytes file
                let chunk = 2 * all[0].Bytes.Length

                for damaged in [ 1; 3 ] do
                    content[8 + chunk * damaged + 7] <- content[8 + chunk * damaged + 7] ^^^ 1uy

                File.WriteAllBytes(file, content)
                let finished = run [ "decompress"; file; "-o"; target; "--quiet" ]
                Expect.equal finished.ExitCode 3 finished.Errors
                let lines = finished.Errors.Trim().Split '\n'
                Expect.equal lines.Length 2 finished.Errors
                Expect.stringContains lines[0] "chunk 1, pictures 2 to 3" "first"
                Expect.stringContains lines[1] "chunk 3, pictures 6 to 7" "second"
                Expect.stringContains lines[1] "5 of 9 pictures are whole" "what is left"
                let names = Directory.GetFiles target |> Array.map Path.GetFileName |> Array.sort
                Expect.equal names [| "0.png"; "1.png"; "4.png"; "5.png"; "8.png" |] "written"

                for number in [ 0; 8 ] do
                    let _, pixels, _, _ = planes (Path.Combine(target, $"{number}.png"))
                    Expect.equal pixels (List.ofArray all[number].Bytes) $"picture {number}")
        }

        test "pictures of 16 bits a channel are refused with one line" {
            inFolder (fun folder ->
                let picture = Path.Combine(folder, "deep.png")
                File.WriteAllBytes(picture, deepPng 4 3)
                let file = Path.Combine(folder, "out.dqz")

                failed
                    3
                    "deep.png: expected 8 bits a channel, got 16"
                    (run [ "compress"; picture; "-o"; file; "--quiet" ])

                Expect.isFalse (File.Exists file) "nothing is written")
        }

        test "a signal while compressing leaves nothing half-written" {
            inFolder (fun folder ->
                let source, file = Path.Combine(folder, "in"), Path.Combine(folder, "out.dqz")
                Directory.CreateDirectory source |> ignore

                for seed in 0..39 do
                    ImageFile.WritePng(Path.Combine(source, $"{seed}.png"), picture 3 300 300 seed)

                let started = start [ "compress"; source; "-o"; file; "--threads"; "1" ]

                let isBegun () =
                    Directory.GetFiles folder |> Array.isEmpty |> not

                Expect.isTrue (waitFor started isBegun) "a file is begun"
                kill "-TERM" started
                let finished = finish started
                Expect.equal finished.ExitCode 143 finished.Errors
                Expect.isEmpty (Directory.GetFiles(folder)) "neither the file nor a part of it")
        }

        test "a head is exported as a frozen model, which codes what the head expects at the head's cost" {
            inFolder (fun folder ->
                use head = headOf (weights (small 3) 3)
                let checkpoint = Path.Combine(folder, "head.safetensors")
                ContextCheckpoint.Write(checkpoint, head, null, TrainingProgress(0L, 3L, 0L, true, 1.0, 3L))
                let frozen = Path.Combine(folder, "head.dqm")
                succeeded (run [ "export"; checkpoint; "-o"; frozen ]) |> ignore
                let model = FrozenContextFile.Read(ReadOnlySpan(File.ReadAllBytes frozen))
                Expect.equal model.Hash (ContextFreezer.Freeze(head.Weights())).Hash "the same model"
                let image = slope 40 50

                use tensor =
                    torch
                        .tensor(image.Bytes, dtype = torch.ScalarType.Byte)
                        .reshape(1L, 3L, int64 image.Height, int64 image.Width)

                let floats = (head.NatsPerPixel tensor |> Seq.sumBy float) / log 2.0

                let integers =
                    ContextCoder.Fixed(model).Bits(pixels 3 [ image ], Threading.CancellationToken.None)

                Expect.isLessThan
                    (abs (integers - floats) / float image.Bytes.Length)
                    0.003
                    $"{integers} and {floats} bits"

                failed 3 "--names ours" (run [ "export"; checkpoint; "-o"; frozen; "--names"; "reference" ]))
        }

        test "what only a data set has is refused with files" {
            inFolder (fun folder ->
                let picture = Path.Combine(folder, "a.png")
                ImageFile.WritePng(picture, slope 4 5)
                let file = Path.Combine(folder, "out.dqz")

                let compress options =
                    run ([ "compress"; picture; "-o"; file ] @ options)

                failed 2 "--split: expected with a packed data set only" (compress [ "--split"; "test" ])
                failed 2 "--limit: expected with a packed data set only" (compress [ "--limit"; "3" ])
                Expect.isFalse (File.Exists file) "nothing is written")
        }

        test "names that lead out of the folder are refused" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "out.dqz")

                for name in
                    [
                        "../a.png"
                        "/a.png"
                        "a//b.png"
                        "a/../../b.png"
                        "C:/a.png"
                        "a\\b.png"
                        "a\nb.png"
                    ] do
                    DQ.Core.AtomicFile.Write(
                        file,
                        fun stream ->
                            let writer =
                                LosslessWriter(stream, CodingModels.None, false, 1, Threading.CancellationToken.None)

                            writer.Add(LosslessPicture(name, picture 1 4 4 1, null, Nullable(), null))
                            writer.Finish()
                    )

                    failed 3 "inside the folder" (run [ "decompress"; file; "-o"; Path.Combine(folder, "out") ]))
        }
    ]

module DQ.Tests.Formats.SafeTensorsTests

open System
open System.Buffers.Binary
open System.Collections.Generic
open System.IO
open System.Reflection
open System.Runtime.Loader
open System.Text
open Expecto
open DQ.Tests.Fixtures
open TorchSharp
open DQ.Core.Formats

/// Resolves assemblies beside the tests' own, each anew.
type private LoadContext() =
    inherit AssemblyLoadContext("arrays", isCollectible = true)

    override this.Load name : Assembly | null =
        let file = Path.Combine(AppContext.BaseDirectory, $"{name.Name}.dll")

        if File.Exists file then
            this.LoadFromAssemblyPath file
        else
            null

let private pair name (tensor: torch.Tensor) = KeyValuePair(name, tensor)

let private bytesOf (header: string) (data: byte[]) =
    let json = Encoding.UTF8.GetBytes header
    let length = Array.zeroCreate<byte> 8
    BinaryPrimitives.WriteInt64LittleEndian(length, json.LongLength)
    Array.concat [ length; json; data ]

let private refused (content: byte[]) =
    let mutable message = ""

    withFile (fun path ->
        File.WriteAllBytes(path, content)

        try
            (SafeTensorsFile.Open path).Dispose()
        with :? WeightsException as error ->
            Expect.stringStarts error.Message path "the message names the file"
            Expect.isFalse (error.Message.Contains '\n') "the message is one line"
            message <- error.Message)

    message

let private refusedHeader header dataBytes =
    refused (bytesOf header (Array.zeroCreate dataBytes))

let private sameTensor (left: torch.Tensor) (right: torch.Tensor) name =
    Expect.equal left.dtype right.dtype $"{name}: type"
    Expect.sequenceEqual left.shape right.shape $"{name}: shape"
    Expect.isTrue (left.Equals right || left.numel () = 0L) $"{name}: values"

let private allTypes = [
    torch.ScalarType.Float64
    torch.ScalarType.Float32
    torch.ScalarType.Float16
    torch.ScalarType.BFloat16
    torch.ScalarType.Int64
    torch.ScalarType.Int32
    torch.ScalarType.Int16
    torch.ScalarType.Int8
    torch.ScalarType.Byte
    torch.ScalarType.Bool
]

let private hostile = [
    "not JSON", "not json at all", 0, "JSON"
    "an array", "[]", 0, "an object"
    "text after the object", "{} {}", 0, "JSON"
    "deep nesting", """{"a":{"shape":[[[[[]]]]]}}""", 0, "integers from 0"
    "a name twice",
    """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""",
    2,
    "once"
    "a name twice, once escaped",
    """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""",
    2,
    "once"
    "metadata twice", """{"__metadata__":{},"__metadata__":{}}""", 0, "once"
    "a metadata key twice", """{"__metadata__":{"a":"1","a":"2"}}""", 0, "once"
    "metadata that is no string", """{"__metadata__":{"a":1}}""", 0, "string"
    "metadata that is no object", """{"__metadata__":"a"}""", 0, "metadata"
    "a lone surrogate", """{"\ud800":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}""", 1, "UTF-8"
    "overlap",
    """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""",
    3,
    "offset 2"
    "a hole",
    """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}""",
    5,
    "offset 2"
    "a hole at the start", """{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", 3, "offset 0"
    "data beyond the file", """{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", 7, "8 bytes"
    "data left over", """{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", 9, "8 bytes"
    "a shape of another length", """{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", 8, "12 bytes"
    "offsets backwards", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}""", 1, "1 bytes"
    "a negative size", """{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}""", 1, "integers from 0"
    "a negative offset", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}""", 1, "integers from 0"
    "a fraction", """{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}""", 1, "integers from 0"
    "a size above 2^63",
    """{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}}""",
    1,
    "integers from 0"
    "an overflowing product",
    """{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}""",
    0,
    "2^63"
    "an overflow behind a zero",
    """{"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}""",
    0,
    "2^63"
    "an unknown type", """{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}""", 1, "expected dtype F64"
    "no type", """{"a":{"shape":[1],"data_offsets":[0,1]}}""", 1, "dtype, shape"
    "one offset", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}""", 1, "two data_offsets"
    "three offsets", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}""", 1, "at most 2"
    "a shape twice", """{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}""", 1, "once each"
    "an unknown key", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}""", 1, "once each"
    "too many dimensions",
    sprintf """{"a":{"dtype":"U8","shape":[%s],"data_offsets":[0,1]}}""" (String.concat "," (Array.create 65 "1")),
    1,
    "at most 64"
]

[<Tests>]
let tests =
    testList "Formats.SafeTensors" [
        test "what is written is read back: every type, a scalar, empty and strided tensors, metadata, order" {
            withFile (fun path ->
                use _ = torch.NewDisposeScope()

                let given = [
                    for kind in allTypes do
                        pair $"typed.{kind}" (torch.arange(12L).reshape(3L, 4L).sub(torch.tensor 3L).to_type kind)
                    pair "scalar" (torch.tensor 2.5)
                    pair "empty" (torch.zeros ([| 0L; 3L |], dtype = torch.int32))
                    pair "transposed" (torch.arange(6L).reshape(2L, 3L).t())
                    pair "expanded" (torch.tensor([| 7.0f |]).expand(4L))
                    pair "leaf" (torch.ones ([| 2L |], requires_grad = true))
                    pair "named \"ä\"\n" (torch.tensor ([| 1uy |]))
                ]

                let metadata = dict [ "z", "1"; "a", "two\nlines ü" ] |> Dictionary
                SafeTensorsFile.Write(path, given, metadata)
                use file = SafeTensorsFile.Open path

                Expect.sequenceEqual
                    (file.Entries |> Seq.map _.Name)
                    (given |> Seq.map _.Key)
                    "names in the order given"

                Expect.equal
                    (file.Metadata |> Seq.map (|KeyValue|) |> set)
                    (metadata |> Seq.map (|KeyValue|) |> set)
                    "metadata"

                for KeyValue(name, tensor) in given do
                    use found = file.Read name
                    sameTensor found tensor name
                    Expect.isTrue (file.Contains name) name)
        }

        test "the same tensors give the same bytes, aligned to their elements" {
            withFile (fun path ->
                use _ = torch.NewDisposeScope()
                let tensors = [ pair "b" (torch.tensor ([| 1uy |])); pair "a" (torch.tensor ([| 1.0 |])) ]
                SafeTensorsFile.Write(path, tensors)
                let first = File.ReadAllBytes path
                SafeTensorsFile.Write(path, tensors)
                Expect.equal (File.ReadAllBytes path) first "written twice"

                let expected =
                    """{"b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]},"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"""

                let length = int (BinaryPrimitives.ReadInt64LittleEndian(first.AsSpan()))
                Expect.equal (length % 8) 0 "the header is padded"
                Expect.equal (Encoding.UTF8.GetString(first, 8, length).TrimEnd ' ') expected "the header")
        }

        test "an empty file of tensors is a file" {
            withFile (fun path ->
                SafeTensorsFile.Write(path, [])
                use file = SafeTensorsFile.Open path
                Expect.isEmpty file.Entries "no tensors"
                Expect.isEmpty file.Metadata "no metadata")
        }

        test "offsets may come in any order as long as they cover the data; a bool is true when not zero" {
            withFile (fun path ->
                let header =
                    """{"b":{"dtype":"BOOL","shape":[2],"data_offsets":[2,4]},"a":{"dtype":"I16","shape":[],"data_offsets":[0,2]}}  """

                File.WriteAllBytes(path, bytesOf header [| 5uy; 1uy; 0uy; 2uy |])
                use file = SafeTensorsFile.Open path
                use a = file.Read "a"
                use b = file.Read "b"
                Expect.equal (a.ToInt16()) 261s "little-endian"
                Expect.sequenceEqual (b.data<bool>()) [ false; true ] "bools")
        }

        test "tensors that cannot be stored are refused and the old file stays" {
            withFile (fun path ->
                use _ = torch.NewDisposeScope()
                SafeTensorsFile.Write(path, [ pair "a" (torch.ones 3L) ])
                let before = File.ReadAllBytes path
                let ones = torch.ones 3L

                Expect.throwsT<ArgumentException>
                    (fun () -> SafeTensorsFile.Write(path, [ pair "a" ones; pair "a" ones ]))
                    "a name twice"

                Expect.throwsT<ArgumentException>
                    (fun () -> SafeTensorsFile.Write(path, [ pair "__metadata__" ones ]))
                    "the name of the metadata"

                Expect.throwsT<ArgumentException>
                    (fun () ->
                        SafeTensorsFile.Write(path, [ pair "c" (ones.to_type torch.ScalarType.ComplexFloat32) ]))
                    "a type the format lacks"

                Expect.equal (File.ReadAllBytes path) before "the old file"

                Expect.throwsT<DirectoryNotFoundException>
                    (fun () -> SafeTensorsFile.Write(Path.Combine(path + "-none", "x"), []))
                    "a missing folder passes through as an IOException")
        }

        test "a tensor that is not there is named" {
            withFile (fun path ->
                SafeTensorsFile.Write(path, [])
                use file = SafeTensorsFile.Open path

                Expect.throwsC (fun () -> file.Read "x" |> ignore) (fun error ->
                    Expect.stringContains error.Message "'x'" "named"))
        }

        for name, header, dataBytes, expected in hostile do
            test $"refused: {name}" {
                Expect.stringContains (refusedHeader header dataBytes) expected "says what was expected"
            }

        test "refused: absurd header lengths, short files, no file" {
            for content in
                [
                    [||]
                    [| 1uy; 2uy |]
                    Array.zeroCreate 16
                    Array.append (Array.create 8 255uy) "{}"B
                    Array.append [| 3uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0uy |] "{}"B
                    Array.append [| 0uy; 0uy; 0uy; 0uy; 1uy; 0uy; 0uy; 0uy |] "{}"B
                ] do
                Expect.stringContains (refused content) "expected" "says what was expected"

            Expect.throwsT<WeightsException> (fun () -> (SafeTensorsFile.Open "/nowhere/x").Dispose()) "no file"
        }

        test "mutated files are refused or read" {
            withFile (fun path ->
                use _ = torch.NewDisposeScope()

                SafeTensorsFile.Write(
                    path,
                    [
                        pair "a" (torch.ones (2L, 3L))
                        pair "b" (torch.arange 5L)
                        pair "c" (torch.zeros (3L, 0L))
                    ],
                    dict [ "k", "v" ] |> Dictionary
                )

                let original = File.ReadAllBytes path
                let random = Random 11
                let mutable read = 0

                for _ in 1..2500 do
                    File.WriteAllBytes(
                        path,
                        mutate
                            random
                            (if random.Next 4 = 0 then original.Length else 400)
                            "0123456789{}[]\",:-e"B
                            original
                    )

                    try
                        use file = SafeTensorsFile.Open path

                        for entry in file.Entries do
                            use tensor = file.Read entry.Name
                            Expect.sequenceEqual tensor.shape entry.Shape "the shape announced"

                        read <- read + 1
                    with :? WeightsException ->
                        ()

                Expect.isGreaterThan read 10 "some mutations leave a well-formed file")
        }

        test "arrays come back as they were written, of any rank, and as tensors too" {
            withFile (fun path ->
                let grid = Array2D.init 2 3 (fun row column -> float (10 * row + column) / 3.0)

                let counts =
                    Array3D.init 1 2 2 (fun _ row column -> int64 (row - column) * 5_000_000_000L)

                SafeTensorsFile.WriteArrays(
                    path,
                    [
                        KeyValuePair("grid", grid :> Array)
                        KeyValuePair("counts", counts :> Array)
                        KeyValuePair("codes", [| 3; -1 |] :> Array)
                        KeyValuePair("distances", [| 0.5f |] :> Array)
                        KeyValuePair("none", Array.zeroCreate<int> 0 :> Array)
                    ]
                )

                use file = SafeTensorsFile.Open path
                let back = file.ReadArray<float> "grid"
                Expect.sequenceEqual back.Shape [| 2L; 3L |] "shape"
                Expect.sequenceEqual back.Values (Seq.cast<float> grid) "row by row"
                Expect.sequenceEqual (file.ReadArray<int64> "counts").Values (Seq.cast<int64> counts) "whole numbers"
                Expect.sequenceEqual (file.ReadArray<int> "codes").Values [| 3; -1 |] "short ones"
                Expect.sequenceEqual (file.ReadArray<float32> "distances").Values [| 0.5f |] "floats"
                Expect.isEmpty (file.ReadArray<int> "none").Values "none"
                Expect.equal (file.Read("grid").[1, 2].ToDouble()) grid[1, 2] "as a tensor")
        }

        test "an array of other elements, or none of the name, is refused" {
            withFile (fun path ->
                SafeTensorsFile.WriteArrays(path, [ KeyValuePair("codes", [| 3; -1 |] :> Array) ])
                use file = SafeTensorsFile.Open path

                let message (read: unit -> unit) =
                    try
                        read ()
                        ""
                    with :? WeightsException as error ->
                        error.Message

                let other = message (fun () -> file.ReadArray<float> "codes" |> ignore)
                Expect.equal other $"{path}: 'codes': expected elements of type Double, found I32" "type"
                let missing = message (fun () -> file.ReadArray<int> "cods" |> ignore)
                Expect.equal missing $"{path}: expected a tensor 'cods', found none of that name" "name")
        }

        test "reading arrays loads no libtorch" {
            withFile (fun path ->
                SafeTensorsFile.WriteArrays(path, [ KeyValuePair("codes", [| 3; -1 |] :> Array) ])

                // a second copy of the assemblies, in which nothing was loaded yet
                let context = LoadContext()
                let core = context.LoadFromAssemblyPath(typeof<SafeTensorsFile>.Assembly.Location)
                let fileType = nonNull (core.GetType "DQ.Core.Formats.SafeTensorsFile")
                let opened = nonNull (fileType.GetMethod "Open")
                let file = nonNull (opened.Invoke(null, [| path |]))
                let read = (nonNull (fileType.GetMethod "ReadArray")).MakeGenericMethod typeof<int>
                let stored = nonNull (read.Invoke(file, [| "codes" |]))
                let values = nonNull (stored.GetType().GetProperty "Values")
                Expect.sequenceEqual (unbox<int[]>(nonNull (values.GetValue stored))) [| 3; -1 |] "values"
                (file :?> IDisposable).Dispose()

                let torch =
                    nonNull (context.LoadFromAssemblyPath(typeof<torch>.Assembly.Location).GetType "TorchSharp.torch")

                let loaded =
                    nonNull (torch.GetField("nativeBackendLoaded", BindingFlags.Static ||| BindingFlags.NonPublic))

                Expect.equal (loaded.GetValue null) (box false) "libtorch"
                context.Unload())
        }
    ]

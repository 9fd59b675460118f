module DQ.Tests.Formats.PyTorchArchiveTests

open System
open System.Globalization
open System.IO
open System.IO.Compression
open System.Numerics
open Expecto
open DQ.Tests.Fixtures
open DQ.Tests.Formats.PickleMachineTests
open TorchSharp
open DQ.Core.Formats

/// A pickled value as text, in Python's manner.
let rec private show (value: PickledValue) =
    let list (values: PickledValue seq) =
        values |> Seq.map show |> String.concat ", "

    match value with
    | :? PickledNone -> "None"
    | :? PickledBoolean as boolean -> string boolean.Value
    | :? PickledInteger as integer -> string integer.Value
    | :? PickledNumber as number -> number.Value.ToString("R", CultureInfo.InvariantCulture)
    | :? PickledText as text -> $"'{text.Value}'"
    | :? PickledBytes as bytes -> $"b'{Convert.ToHexString bytes.Value.Span}'"
    | :? PickledSequence as sequence ->
        match sequence.Kind with
        | PickledSequenceKind.List -> $"[{list sequence.Items}]"
        | PickledSequenceKind.Tuple -> $"({list sequence.Items})"
        | _ -> $"{{{list sequence.Items}}}"
    | :? PickledDictionary as dictionary ->
        let pairs =
            Seq.map2 (fun key value -> $"{show key}: {show value}") dictionary.Keys dictionary.Values

        "{" + String.concat ", " pairs + "}"
    | :? PickledObject as thing -> $"{thing.ClassName}{show thing.Attributes}"
    | :? PickledTensor as tensor -> $"tensor{List.ofSeq tensor.Sizes}"
    | other -> failwith $"unexpected {other}"

let private archive name =
    PyTorchArchive.Open(fixture [ "pytorch"; name ], olderForm = true)

let private entry (root: PickledValue) (name: string) =
    match root with
    | :? PickledDictionary as dictionary ->
        match dictionary.TryGetValue name with
        | true, value -> nonNull value
        | _ -> failwith $"no {name}"
    | _ -> failwith "no dictionary"

let private floats (tensor: PickledTensor) =
    use read = tensor.Read()
    use wide = read.to_type torch.float64
    Array.ofSeq (wide.data<double>())

let private checkTensors (name: string) =
    use file = archive name
    let tensors = file.StateDictionary() |> Seq.map (|KeyValue|) |> Map.ofSeq
    let counting = [| -3.0 .. 8.0 |]

    for kind, values in
        [
            torch.float64, counting
            torch.float32, counting
            torch.float16, counting
            torch.bfloat16, counting
            torch.int64, counting
            torch.int32, counting
            torch.int16, counting
            torch.int8, counting
            torch.uint8, counting |> Array.map (fun value -> if value < 0 then value + 256.0 else value)
            torch.bool, counting |> Array.map (fun value -> if value = 0 then 0.0 else 1.0)
        ] do
        let key =
            match kind with
            | torch.ScalarType.Byte -> "uint8"
            | kind -> (string kind).ToLowerInvariant()

        let tensor = tensors[key]
        Expect.equal tensor.Type kind key
        Expect.sequenceEqual tensor.Sizes [ 3L; 4L ] key
        Expect.sequenceEqual (floats tensor) values key

    let expect key sizes (values: float seq) =
        Expect.sequenceEqual tensors[key].Sizes sizes key
        Expect.sequenceEqual (floats tensors[key]) values key

    expect "base" [ 4L; 6L ] [ 0.0 .. 23.0 ]

    expect "transposed" [ 6L; 4L ] [
        for column in 0.0 .. 5.0 do
            for row in 0.0 .. 3.0 -> 6.0 * row + column
    ]

    expect "sliced" [ 3L; 2L ] [ 8.0; 10.0; 14.0; 16.0; 20.0; 22.0 ]
    expect "row" [ 6L ] [ 18.0 .. 23.0 ]
    expect "expanded" [ 2L; 3L ] [ 1.5; 1.5; 1.5; 2.5; 2.5; 2.5 ]
    expect "scalar" [] [ 2.5 ]
    expect "empty" [ 0L; 3L ] []
    expect "parameter" [ 2L ] [ 1.0; 2.0 ]

[<Tests>]
let tests =
    testList "Formats.PyTorchArchive" [
        test "tensors: every type, strided, shared, expanded, scalar, empty, parameter" { checkTensors "tensors.pt" }

        test "a compressed archive with a byte order reads the same" { checkTensors "compressed.pt" }

        test "so does the form before PyTorch 1.6, where it is asked for" { checkTensors "legacy.pt" }

        test "elsewhere that form is refused with the remedy" {
            let path = fixture [ "pytorch"; "legacy.pt" ]

            Expect.throwsC (fun () -> (PyTorchArchive.Open path).Dispose()) (fun error ->
                Expect.isTrue (error :? WeightsException) $"a WeightsException, not {error}"
                Expect.stringStarts error.Message $"{path}: expected the zip form of PyTorch 1.6" "what was expected"
                Expect.stringContains error.Message "save it again with torch.save" "the remedy")
        }

        test "a file of that form that was cut short, or is of another byte order, is refused" {
            let content = File.ReadAllBytes(fixture [ "pytorch"; "legacy.pt" ])

            let refusal (content: byte[]) =
                let mutable message = ""

                withFile (fun path ->
                    Expect.throwsC (fun () -> (openBytes path content).Dispose()) (fun error ->
                        Expect.isTrue (error :? WeightsException) $"a WeightsException, not {error}"
                        Expect.stringStarts error.Message path "names the file"
                        message <- error.Message))

                message

            Expect.stringContains (refusal content[.. content.Length - 2]) "the file ends before" "the last storage"
            Expect.stringContains (refusal content[..200]) "complete pickle" "within a pickle"
            let order = content.AsSpan().IndexOf(ReadOnlySpan(raw "little_endian"))
            let flag = order + content.AsSpan(order).IndexOf 0x88uy
            let other = Array.copy content
            other[flag] <- 0x89uy
            Expect.stringContains (refusal other) "little-endian" "byte order"
        }

        for protocol in 2..5 do
            test $"containers and numbers, protocol {protocol}" {
                use file = archive $"containers-protocol{protocol}.pt"
                let show name = show (entry file.Root name)
                Expect.equal (show "none") "None" "none"
                Expect.equal (show "true" + show "false") "TrueFalse" "booleans"

                let integers = [
                    0I
                    1I
                    255I
                    256I
                    65535I
                    65536I
                    -1I
                    -(2I ** 31)
                    2I ** 31
                    2I ** 63
                    -(2I ** 63)
                    2I ** 100
                ]

                Expect.equal (show "integers") $"""[{String.Join(", ", integers)}]""" "integers"
                Expect.equal (show "floats") "(0, -0.5, 1E+300, Infinity)" "floats"
                Expect.equal (show "text") "'naïve 文字 \U0001f600'" "text"
                Expect.equal (show "bytes" + show "no_bytes" + show "bytearray") "b'007FFF'b''b'6162'" "bytes"
                Expect.equal (show "set" + show "frozenset") "{7}{'x'}" "sets"
                Expect.equal (show "tuples") "((), (1), (1, 2), (1, 2, 3), (1, 2, 3, 4))" "tuples"
                Expect.equal (show "ordered") "{'b': 1, 'a': 2}" "an ordered dictionary"
                Expect.equal (show "default") "{'k': [1]}" "a dictionary with a default"
                Expect.equal (show "by_number") "{0: 'zero', 1: 'one'}" "integer keys"
                Expect.equal (show "twice") "[['again'], ['again']]" "a shared value"
                Expect.equal (show "size" + show "device" + show "type") "(2, 3)'cpu''torch.bfloat16'" "torch's own"
                Expect.equal (show "numpy") "[2.5, 0.25, 0.5, -7, 200, True, 1.5]" "numpy's scalars"
                Expect.equal (show "bag") "__main__.Bag{'channel': '64', 'nested': __main__.Bag{'x': 1}}" "an object"
                Expect.equal (show "slots") "__main__.Slots{'depth': 3}" "an object with slots"
            }

        test "the forms that later PyTorch writes" {
            use file = archive "newer-forms.pt"
            let tensors = file.StateDictionary() |> Seq.map (|KeyValue|) |> Map.ofSeq
            Expect.sequenceEqual (floats tensors["parameter"]) [ 0.0 .. 5.0 ] "a parameter with a state"
            Expect.sequenceEqual (floats tensors["untyped"]) [ 1.0; 3.0; 2.0; 4.0 ] "an untyped storage"
            Expect.sequenceEqual (floats tensors["attributed"]) [ 0.0 .. 2.0 ] "a tensor with attributes"
        }

        test "a state dictionary is found inside a checkpoint, or named" {
            use file = archive "nested.pt"

            let names (tensors: seq<_>) =
                tensors |> Seq.map (fun (KeyValue(name: string, _)) -> name) |> List.ofSeq

            Expect.equal (names (file.StateDictionary())) [ "weight"; "bias" ] "found"
            Expect.equal (names (file.StateDictionary "state_dict")) [ "weight"; "bias" ] "named"

            Expect.throwsC (fun () -> file.StateDictionary "model" |> ignore) (fun error ->
                Expect.stringContains error.Message "under 'model'" "not there")
        }

        test "a checkpoint of the published implementation: model, optimizer, configuration, statistics" {
            use file = archive "published-checkpoint.pt"
            Expect.isGreaterThan (file.StateDictionary "model").Count 30 "tensors of the model"

            match entry file.Root "model_config" with
            | :? PickledObject as config ->
                Expect.equal config.ClassName "utils.ModelConfig" "its class"
                Expect.equal (show (entry config.Attributes "n_codebooks")) "2" "a setting"
            | other -> failtest $"expected an object, got {show other}"

            match entry (entry file.Root "stats") "train_loss" with
            | :? PickledNumber as loss -> Expect.isGreaterThan loss.Value 0.0 "a numpy scalar"
            | other -> failtest $"expected a number, got {show other}"

            match entry (entry file.Root "optimizer") "state" with
            | :? PickledDictionary as state -> Expect.isGreaterThan state.Count 10 "moments by parameter"
            | other -> failtest $"expected a dictionary, got {show other}"
        }

        for name, expected in
            [
                "call", "'builtins.print'"
                "name", "'builtins.print'"
                "array", "'numpy.core.multiarray._reconstruct'"
                "complex", "'builtins.complex'"
                "sparse", "torch.serialization._get_layout"
                "storage", "bare storage"
                "knot", "contains itself"
                "script", "TorchScript"
                "big-endian", "little-endian"
            ] do
            test $"refused: {name}" {
                let path = fixture [ "pytorch"; $"refused-{name}.pt" ]

                Expect.throwsC (fun () -> (PyTorchArchive.Open path).Dispose()) (fun error ->
                    Expect.isTrue (error :? WeightsException) $"a WeightsException, not {error}"
                    Expect.stringStarts error.Message path "names the file"
                    Expect.stringContains error.Message expected "says what it is"
                    Expect.isFalse (error.Message.Contains '\n') "one line")
            }

        test "a pickled module is data, but no state dictionary" {
            use file = archive "refused-module.pt"

            Expect.throwsC (fun () -> file.StateDictionary() |> ignore) (fun error ->
                Expect.stringContains error.Message "torch.nn.modules.linear.Linear" "names the class")
        }

        test "a damaged storage is found by its checksum when it is read" {
            withFile (fun path ->
                let content = File.ReadAllBytes(fixture [ "pytorch"; "nested.pt" ])

                let storage =
                    use zip = ZipFile.OpenRead(fixture [ "pytorch"; "nested.pt" ])
                    use stream = (nonNull (zip.GetEntry "nested/data/0")).Open()
                    Array.init 8 (fun _ -> byte (stream.ReadByte()))

                let at = content.AsSpan().IndexOf(ReadOnlySpan storage)
                content[at] <- content[at] ^^^ 1uy
                use file = openBytes path content
                let tensors = file.StateDictionary() |> Seq.map (|KeyValue|) |> Map.ofSeq
                (tensors["bias"].Read()).Dispose()

                Expect.throwsC (fun () -> (tensors["weight"].Read()).Dispose()) (fun error ->
                    Expect.stringStarts error.Message path "names the file"
                    Expect.stringContains error.Message "damaged" "says so"))
        }

        test "mutated archives and pickles are refused or read" {
            let random = Random 7

            let files = [
                "tensors"
                "containers-protocol2"
                "containers-protocol4"
                "newer-forms"
                "nested"
                "compressed"
                "legacy"
            ]

            let likely =
                (raw "().}]NQRabcehqstuGJKMXC\128\133\134\135\136\137\138\129\147\148\149\140\143\144\145")

            let mutable read = 0
            let mutable refused = 0

            withFile (fun path ->
                for round in 1..500 do
                    for name in files do
                        let source = fixture [ "pytorch"; $"{name}.pt" ]

                        let content =
                            if round % 3 = 0 || name = "legacy" then
                                mutate
                                    random
                                    Int32.MaxValue
                                    [| 0uy; 1uy; 255uy; 127uy; 80uy; 75uy |]
                                    (File.ReadAllBytes source)
                            else
                                repickled source (mutate random Int32.MaxValue likely)

                        try
                            use file = openBytes path content
                            show file.Root |> ignore

                            for tensor in
                                (match file.Root with
                                 | :? PickledDictionary as root -> root.Values |> Seq.choose tryUnbox<PickledTensor>
                                 | _ -> Seq.empty) do
                                (tensor.Read()).Dispose()

                            read <- read + 1
                        with :? WeightsException ->
                            refused <- refused + 1)

            Expect.isGreaterThan read 100 "some mutations do no harm"
            Expect.isGreaterThan refused 1000 "most do"
        }
    ]

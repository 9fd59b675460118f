module DQ.Tests.Weights.PyTorchArchiveTests

open System
open System.Globalization
open System.IO
open System.IO.Compression
open System.Numerics
open Expecto
open DQ.Core.Weights
open DQ.Tests.Fixtures
open TorchSharp

/// A pickled value as text, in Python's manner.
let rec private show (value: PickledValue) =
    let list (values: PickledValue seq) = values |> Seq.map show |> String.concat ", "

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

/// Letters up to 255 as bytes.
let private raw (letters: string) = Text.Encoding.Latin1.GetBytes letters

let private archive name = PyTorchArchive.Open(fixture [ "pytorch"; name ])

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
        [ torch.float64, counting
          torch.float32, counting
          torch.float16, counting
          torch.bfloat16, counting
          torch.int64, counting
          torch.int32, counting
          torch.int16, counting
          torch.int8, counting
          torch.uint8, counting |> Array.map (fun value -> if value < 0 then value + 256.0 else value)
          torch.bool, counting |> Array.map (fun value -> if value = 0 then 0.0 else 1.0) ] do
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
    expect "transposed" [ 6L; 4L ] [ for column in 0.0 .. 5.0 do for row in 0.0 .. 3.0 -> 6.0 * row + column ]
    expect "sliced" [ 3L; 2L ] [ 8.0; 10.0; 14.0; 16.0; 20.0; 22.0 ]
    expect "row" [ 6L ] [ 18.0 .. 23.0 ]
    expect "expanded" [ 2L; 3L ] [ 1.5; 1.5; 1.5; 2.5; 2.5; 2.5 ]
    expect "scalar" [] [ 2.5 ]
    expect "empty" [ 0L; 3L ] []
    expect "parameter" [ 2L ] [ 1.0; 2.0 ]

/// The archive of `path` with `change` applied to its pickle, and correct checksums.
let private repickled (path: string) (change: byte[] -> byte[]) =
    use source = ZipFile.OpenRead path
    let buffer = new MemoryStream()

    using (new ZipArchive(buffer, ZipArchiveMode.Create, leaveOpen = true)) (fun target ->
        for entry in source.Entries do
            use from = entry.Open()
            use content = new MemoryStream()
            from.CopyTo content

            let bytes =
                if entry.Name = "data.pkl" then
                    change (content.ToArray())
                else
                    content.ToArray()

            use into = target.CreateEntry(entry.FullName, CompressionLevel.NoCompression).Open()
            into.Write bytes)

    buffer.ToArray()

let private openBytes (path: string) (content: byte[]) =
    File.WriteAllBytes(path, content)
    PyTorchArchive.Open path

/// What is refused of a pickle in place of that of `nested.pt`, whose storage `0` has two floats.
let private refusedPickle (pickle: byte[]) =
    let mutable message = ""

    withFile (fun path ->
        try
            (openBytes path (repickled (fixture [ "pytorch"; "nested.pt" ]) (fun _ -> pickle))).Dispose()
        with :? WeightsException as error ->
            message <- error.Message)

    message

let private join (parts: byte[] list) = Array.concat parts

/// A tensor of storage `0` made by opcodes: offset, sizes and strides as 8-byte integers.
let private tensorPickle (offset: int64) (sizes: int64 list) (strides: int64 list) =
    let integer (value: int64) = Array.append [| 0x8auy; 8uy |] (BitConverter.GetBytes value)
    let tuple values = join [ "("B; join (values |> List.map integer); "t"B ]

    join [
        (raw "\128\002ctorch._utils\n_rebuild_tensor_v2\n((X\007\000\000\000storagectorch\nFloatStorage\n")
        "X\001\000\000\0000X\003\000\000\000cpuK\002tQ"B
        integer offset
        tuple sizes
        tuple strides
        (raw "\137)tR.")
    ]

let private hostile: (string * byte[] * string) list =
    let times count (bytes: byte[]) = Array.concat (Array.replicate count bytes)

    [
        "an unknown opcode", (raw "\128\002\255."), "0xff"
        "text opcodes", "I1\n."B, "0x49"
        "extension codes", (raw "\128\002\130\001."), "0x82"
        "protocol 6", (raw "\128\006N."), "protocol"
        "no end", (raw "\128\002N"), "complete"
        "nothing", ""B, "complete"
        "two values at the end", "NN."B, "ends with one value"
        "an open mark", "(N."B, "ends with one value"
        "too few values", (raw "\133."), "takes no more values"
        "a value taken from under a mark", (raw "N(\133."), "takes no more values"
        "no mark", "Nt."B, "takes no more values"
        "an unknown memory", "h\001."B, "remembered as 1"
        "a length beyond the pickle", (raw "X\255\255\255\127a."), "within the pickle"
        "a length beyond 2^63", (raw "\142\255\255\255\255\255\255\255\255."), "within the pickle"
        "text that is not UTF-8", (raw "X\001\000\000\000\255."), "UTF-8"
        "an absurd integer", join [ (raw "\138\255"); times 255 "\001"B; "."B ], "at most 64 bytes"
        "appending to a tuple", ")Na."B, "a list or a set"
        "a dictionary with an odd list", "}(Nu."B, "pairs"
        "a list as a key", "}]Ns."B, "as keys"
        "calling a value", "N)R."B, "a function"
        "a function that runs programs", (raw "cos\nsystem\nX\001\000\000\000a\133R."), "'os.system'"
        "the same by the stack", (raw "\140\002os\140\006system\147\140\001a\133R."), "'os.system'"
        "getattr", "cbuiltins\ngetattr\n)R."B, "'builtins.getattr'"
        "an object with arguments", (raw "csubprocess\nPopen\nX\001\000\000\000a\133\129."), "'subprocess.Popen'"
        "reconstruction with a state", "ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\ndict\n}tR."B, "'copyreg._reconstructor'"
        "a state that is no dictionary", (raw "cm\nC\n)\129Nb."), "dictionary of attributes"
        "a name by itself", "cm\nC\n."B, "'m.C'"
        "a storage by name only", "X\001\000\000\000aQ."B, "storages"
        "a storage of another size",
        "(X\007\000\000\000storagectorch\nFloatStorage\nX\001\000\000\0000X\003\000\000\000cpuK\003tQ."B,
        "3 elements"
        "a storage that is not there",
        "(X\007\000\000\000storagectorch\nFloatStorage\nX\001\000\000\0009X\003\000\000\000cpuK\002tQ."B,
        "data/9"
        "a storage of an unknown type",
        "(X\007\000\000\000storagectorch\nQInt8Storage\nX\001\000\000\0000X\003\000\000\000cpuK\002tQ."B,
        "torch.QInt8Storage"
        "a tensor larger than its storage", tensorPickle 0L [ 3L ] [ 1L ], "inside its storage"
        "a tensor beyond its storage", tensorPickle 2L [ 1L ] [ 1L ], "inside its storage"
        "strides beyond the storage", tensorPickle 0L [ 2L ] [ 2L ], "inside its storage"
        "a negative size", tensorPickle 0L [ -1L ] [ 1L ], "from 0"
        "a negative stride", tensorPickle 1L [ 2L ] [ -1L ], "from 0"
        "sizes without strides", tensorPickle 0L [ 1L; 1L ] [ 1L ], "as many strides"
        "an overflowing extent", tensorPickle 0L [ Int64.MaxValue; 3L ] [ Int64.MaxValue; 1L ], "inside its storage"
        "an overflow behind a zero", tensorPickle 0L [ 0L; 1L <<< 40; 1L <<< 40 ] [ 0L; 0L; 0L ], "inside its storage"
        "a huge tensor of one element", tensorPickle 0L [ 1L <<< 40 ] [ 0L ], "many times more"
        "a tensor of 65 dimensions", tensorPickle 0L (List.replicate 65 1L) (List.replicate 65 1L), "at most 64"
        "a list in itself", "]q\000h\000a."B, "inside itself"
        "a deep list", join [ times 300 "]"B; times 299 "a"B; "."B ], "deep"
        "a very deep list", join [ times 1000000 "]"B; times 999999 "a"B; "."B ], "deep"
        "a list that doubles thirty times", join [ "]"B; times 30 (raw "q\000h\000\134"); "."B ], "when written out"
        "millions of values", join [ "]("B; times 4000001 "]"B; "e."B ], "values used"
        "one text as bytes again and again",
        join [
            "](c_codecs\nencode\nq\000X\000\001\000\000"B
            times 256 "a"B
            "q\001X\006\000\000\000latin1q\0020"B
            times 100 (raw "h\000h\001h\002\134R")
            "e."B
        ],
        "0x30"
        "bytes larger than the pickle",
        join [
            "](c_codecs\nencode\nq\000X\000\001\000\000"B
            times 256 "a"B
            (raw "q\001X\006\000\000\000latin1q\002\134R")
            times 100 (raw "h\000h\001h\002\134R")
            "e."B
        ],
        "Latin-1"
    ]

[<Tests>]
let tests =
    testList "Weights.PyTorchArchive" [
        test "tensors: every type, strided, shared, expanded, scalar, empty, parameter" { checkTensors "tensors.pt" }

        test "a compressed archive with a byte order reads the same" { checkTensors "compressed.pt" }

        for protocol in 2..5 do
            test $"containers and numbers, protocol {protocol}" {
                use file = archive $"containers-protocol{protocol}.pt"
                let show name = show (entry file.Root name)
                Expect.equal (show "none") "None" "none"
                Expect.equal (show "true" + show "false") "TrueFalse" "booleans"

                let integers =
                    [ 0I; 1I; 255I; 256I; 65535I; 65536I; -1I; -(2I ** 31); 2I ** 31; 2I ** 63; -(2I ** 63); 2I ** 100 ]

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
            let names (tensors: seq<_>) = tensors |> Seq.map (fun (KeyValue(name: string, _)) -> name) |> List.ofSeq
            Expect.equal (names (file.StateDictionary())) [ "weight"; "bias" ] "found"
            Expect.equal (names (file.StateDictionary "state_dict")) [ "weight"; "bias" ] "named"

            Expect.throwsC
                (fun () -> file.StateDictionary "model" |> ignore)
                (fun error -> Expect.stringContains error.Message "under 'model'" "not there")
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
            [ "legacy", "_use_new_zipfile_serialization=True"
              "call", "'builtins.print'"
              "name", "'builtins.print'"
              "array", "'numpy.core.multiarray._reconstruct'"
              "complex", "'builtins.complex'"
              "sparse", "torch.serialization._get_layout"
              "storage", "bare storage"
              "knot", "inside itself"
              "script", "TorchScript"
              "big-endian", "little-endian" ] do
            test $"refused: {name}" {
                let path = fixture [ "pytorch"; $"refused-{name}.pt" ]

                Expect.throwsC
                    (fun () -> (PyTorchArchive.Open path).Dispose())
                    (fun error ->
                        Expect.isTrue (error :? WeightsException) $"a WeightsException, not {error}"
                        Expect.stringStarts error.Message path "names the file"
                        Expect.stringContains error.Message expected "says what it is"
                        Expect.isFalse (error.Message.Contains '\n') "one line")
            }

        test "a pickled module is data, but no state dictionary" {
            use file = archive "refused-module.pt"

            Expect.throwsC
                (fun () -> file.StateDictionary() |> ignore)
                (fun error -> Expect.stringContains error.Message "torch.nn.modules.linear.Linear" "names the class")
        }

        for name, pickle, expected in hostile do
            test $"refused pickle: {name}" {
                Expect.stringContains (refusedPickle pickle) expected "says what was expected"
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

                Expect.throwsC
                    (fun () -> (tensors["weight"].Read()).Dispose())
                    (fun error ->
                        Expect.stringStarts error.Message path "names the file"
                        Expect.stringContains error.Message "damaged" "says so"))
        }

        test "mutated archives and pickles are refused or read" {
            let random = Random 7
            let files = [ "tensors"; "containers-protocol2"; "containers-protocol4"; "newer-forms"; "nested"; "compressed" ]

            let likely =
                (raw "().}]NQRabcehqstuGJKMXC\128\133\134\135\136\137\138\129\147\148\149\140\143\144\145")

            let mutable read = 0
            let mutable refused = 0

            withFile (fun path ->
                for round in 1..500 do
                    for name in files do
                        let source = fixture [ "pytorch"; $"{name}.pt" ]

                        let content =
                            if round % 3 = 0 then
                                mutate random Int32.MaxValue [| 0uy; 1uy; 255uy; 127uy; 80uy; 75uy |] (File.ReadAllBytes source)
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

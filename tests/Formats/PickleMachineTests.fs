module DQ.Tests.Formats.PickleMachineTests

open System
open System.IO
open System.IO.Compression
open DQ.Core.Formats
open Expecto
open DQ.Tests.Fixtures

/// Letters up to 255 as bytes.
let raw (letters: string) = Text.Encoding.Latin1.GetBytes letters

/// The archive of `path` with `change` applied to its pickle, and correct checksums.
let repickled (path: string) (change: byte[] -> byte[]) =
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

let openBytes (path: string) (content: byte[]) =
    File.WriteAllBytes(path, content)
    PyTorchArchive.Open(path, olderForm = true)

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
    let integer (value: int64) =
        Array.append [| 0x8auy; 8uy |] (BitConverter.GetBytes value)

    let tuple values =
        join [ "("B; join (values |> List.map integer); "t"B ]

    join [
        (raw "\128\002ctorch._utils\n_rebuild_tensor_v2\n((X\007\000\000\000storagectorch\nFloatStorage\n")
        "X\001\000\000\0000X\003\000\000\000cpuK\002tQ"B
        integer offset
        tuple sizes
        tuple strides
        (raw "\137)tR.")
    ]

let private hostile: (string * byte[] * string) list =
    let times count (bytes: byte[]) =
        Array.concat (Array.replicate count bytes)

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
        "reconstruction with a state",
        "ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\ndict\n}tR."B,
        "'copyreg._reconstructor'"
        "a state that is no dictionary", (raw "cm\nC\n)\129Nb."), "dictionary of attributes"
        "a name by itself", "cm\nC\n."B, "'m.C'"
        "a storage by name only", "X\001\000\000\000aQ."B, "storages"
        "a storage of another size",
        "(X\007\000\000\000storagectorch\nFloatStorage\nX\001\000\000\0000X\003\000\000\000cpuK\003tQ."B,
        "12 bytes"
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
        "a list in itself", "]q\000h\000a."B, "contains itself"
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
    testList "Formats.PickleMachine" [
        for name, pickle, expected in hostile do
            test $"refused pickle: {name}" {
                Expect.stringContains (refusedPickle pickle) expected "says what was expected"
            }

        test "Python 2's texts are texts, and what follows a pickle is not looked at" {
            let texts =
                join [
                    [| 0x80uy; 2uy |]
                    "U\003abcT\002\000\000\000de"B
                    [| 0x86uy |]
                    ".and more"B
                ]

            withFile (fun path ->
                use file =
                    openBytes path (repickled (fixture [ "pytorch"; "nested.pt" ]) (fun _ -> texts))

                match file.Root with
                | :? PickledSequence as pair ->
                    Expect.equal [ for text in pair.Items -> (text :?> PickledText).Value ] [ "abc"; "de" ] "both"
                | other -> failtest $"expected a tuple, got {other}")
        }
    ]

module DQ.Tests.Data.IdxTests

open System.IO
open System.IO.Compression
open Expecto
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

let private gzip (bytes: byte[]) =
    use memory = new MemoryStream()

    do
        use stream = new GZipStream(memory, CompressionMode.Compress)
        stream.Write(bytes, 0, bytes.Length)

    memory.ToArray()

let private train = "train-images-idx3-ubyte"

let private gzipped (content: byte[]) =
    use memory = new MemoryStream()

    (use packed =
        new System.IO.Compression.GZipStream(memory, System.IO.Compression.CompressionMode.Compress)

     packed.Write(content, 0, content.Length))

    memory.ToArray()

[<Tests>]
let tests =
    testList "Data.Idx" [
        test "plain and gzipped files, any size" {
            inFolder (fun folder ->
                writeTree folder [
                    train, idxImages 4 3 5
                    "train-labels-idx1-ubyte.gz", gzip (idxLabels [ 0; 2; 1; 2 ])
                    "t10k-images.idx3-ubyte.gz", gzip (idxImages 2 3 5)
                ]

                let source = ok (Idx.open' folder)
                Expect.equal (source.Train.Count, source.Test.Value.Count) (4, 2) "counts"
                Expect.equal source.Shape (Some(1, 3, 5)) "shape"
                Expect.equal (source.Train.Read 1).Bytes [| 15uy .. 29uy |] "the second image"
                Expect.equal source.Train.Labels (Some [| 0; 2; 1; 2 |]) "labels"
                Expect.isNone source.Test.Value.Labels "test labels"
                Expect.equal source.ClassNames [ "0"; "1"; "2" ] "classes"
                Expect.hasLength source.Files 3 "files")
        }

        test "no test files, no test split" {
            inFolder (fun folder ->
                writeTree folder [ train, idxImages 4 3 5 ]
                let source = ok (Idx.open' folder)
                Expect.isNone source.Test "test"
                Expect.isEmpty source.ClassNames "classes")
        }

        test "damaged files are refused by file and expectation" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, train)
                Expect.stringContains (dataError (Idx.open' folder)) "found no train-images-idx3-ubyte" "missing"

                let expect content message =
                    writeTree folder [ train, content ]
                    Expect.equal (dataError (Idx.open' folder)) $"{file}: {message}" message

                let whole = idxImages 4 3 5
                expect whole[..70] "expected 76 bytes for 4×3×5, got 71"
                expect whole[..9] "expected an idx header of 16 bytes, got 10 bytes in all"

                expect
                    (Array.append (idxLabels [ 1; 2; 3 ]) (Array.zeroCreate 20))
                    "expected an idx file with magic number 2051, got 2049"

                writeTree folder [ train, whole; "train-labels-idx1-ubyte", idxLabels [ 1; 2; 3 ] ]
                Expect.stringEnds (dataError (Idx.open' folder)) "expected 4 labels, as many as images, got 3" "labels"
                File.Delete(Path.Combine(folder, "train-labels-idx1-ubyte"))
                writeTree folder [ "t10k-images-idx3-ubyte", idxImages 1 3 3 ]
                Expect.stringEnds (dataError (Idx.open' folder)) "size (1, 3, 5), got (1, 3, 3)" "another size"
                File.Delete file
                writeTree folder [ train + ".gz", [| 1uy; 2uy; 3uy |] ]
                Expect.stringStarts (dataError (Idx.open' folder)) $"{file}.gz: " "no gzip")
        }

        test "a name that says gzip is held to it, and the other way round; what the file is instead is said" {
            let whole = idxImages 4 3 5
            let page = "<html>403 Forbidden</html>"B

            for name, content, message in
                [
                    train + ".gz", whole, "expected a gzip file, as its name says, got a plain idx file of images"
                    train + ".gz", page, "expected a gzip file, as its name says, got a web page"
                    train + ".gz", [||], "expected a gzip file, as its name says, got an empty file"
                    train, gzipped whole, "expected an idx file, got a gzip file: name it .gz or unpack it"
                    train, page, "expected an idx file with magic number 2051, got 1013478509 (a web page)"
                    train + ".gz", gzipped page, "expected an idx file with magic number 2051, got 1013478509"
                    train + ".gz", gzipped (Array.append whole [| 0uy |]), "expected 76 bytes for 4×3×5, got more"
                    train + ".gz", gzipped whole[..70], "expected 76 bytes for 4×3×5, got 71"
                ] do
                inFolder (fun folder ->
                    writeTree folder [ name, content ]
                    let file = Path.Combine(folder, name)
                    Expect.stringStarts (dataError (Idx.open' folder)) $"{file}: {message}" message)
        }

        test "sizes that a file can't hold are refused before memory is taken" {
            let header =
                Array.append [| 0uy; 0uy; 8uy; 3uy; 0x7Fuy; 0xFFuy; 0xFFuy; 0xFFuy |] [|
                    0uy
                    0uy
                    0uy
                    28uy
                    0uy
                    0uy
                    0uy
                    28uy
                |]

            for name, content in [ train, header; train + ".gz", gzipped header ] do
                inFolder (fun folder ->
                    writeTree folder [ name, content ]
                    let before = System.GC.GetAllocatedBytesForCurrentThread()
                    Expect.stringContains (dataError (Idx.open' folder)) "bytes for 2147483647×28×28" "message"
                    Expect.isLessThan (System.GC.GetAllocatedBytesForCurrentThread() - before) 10_000_000L "memory")
        }
    ]

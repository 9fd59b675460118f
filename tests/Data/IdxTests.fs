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
    ]

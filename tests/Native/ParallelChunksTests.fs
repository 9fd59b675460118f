module DQ.Tests.Native.ParallelChunksTests

open System.Threading
open Expecto
open DQ.Core.Native

type private Squares(results: int[]) =
    inherit ParallelChunks()

    override _.Chunk index =
        Thread.SpinWait 200
        results[index] <- results[index] + index * index + 1

[<Tests>]
let tests =
    testList "Native.ParallelChunks" [
        for count in [ 0; 1; 2; 7; 1000 ] do
            test $"each of {count} chunks runs once and is finished on return" {
                let results = Array.zeroCreate count
                Squares(results).Run count
                Expect.equal results (Array.init count (fun index -> index * index + 1)) "results"
            }
    ]

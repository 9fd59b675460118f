module DQ.Tests.BitAllocation.ChannelQuantizerTests

open System
open System.IO
open System.Threading
open Expecto
open FsCheck
open TorchSharp
open DQ.Core.Artifacts
open DQ.Core.BitAllocation
open DQ.Tests.Fixtures

let private scalar (value: float) = torch.tensor (float32 value)

let private values (tensor: torch.Tensor) = tensor.data<float32>().ToArray()

/// What a quantizer makes of numbers, with this interval and lowest value.
let private quantized (quantizer: ChannelQuantizer) interval lowest bits (numbers: float list) =
    use tensor = torch.tensor [| for number in numbers -> float32 number |]

    use result =
        quantizer.Quantize(tensor, scalar interval, scalar lowest, scalar (2.0 ** float bits))

    [ for value in values result -> Math.Round(float value, 4) ]

let private all: ChannelQuantizer list = [ UniformQuantizer(); DoReFaQuantizer(); LogarithmicQuantizer 2.0 ]

let private subject (quantizer: ChannelQuantizer) =
    IntervalSubject("net-0", "layer", quantizer.Name)

/// Rectified noise (images, channels, 6, 6) whose channels differ in scale.
let features seed images channels =
    use _ = torch.NewDisposeScope()
    // a generator of its own: what else draws numbers meanwhile is no matter
    use generator = new torch.Generator(uint64 seed)

    let scale = torch.linspace(0.2, 3.0, channels).reshape(1L, channels, 1L, 1L)

    (torch.randn([| images; channels; 6L; 6L |], generator = generator).relu_().mul_ scale).MoveToOuterDisposeScope()

[<Tests>]
let tests =
    testSequenced
    <| testList "BitAllocation.ChannelQuantizer" [
        test "the levels of each" {
            let numbers = [ -1.0; 0.0; 0.4; 1.1; 2.6; 9.0 ]

            Expect.equal
                (quantized (UniformQuantizer()) 1.0 0.0 2 numbers)
                [ 0.5; 0.5; 0.5; 1.5; 2.5; 3.5 ]
                "middles of four cells"

            Expect.equal
                (quantized (UniformQuantizer()) 1.0 -2.0 1 numbers)
                [ -0.5; -0.5; -0.5; -0.5; -0.5; -0.5 ]
                "cells begin at the lowest value"

            Expect.equal
                (quantized (DoReFaQuantizer()) 3.0 0.0 2 numbers)
                [ 0.0; 0.0; 0.0; 1.0; 3.0; 3.0 ]
                "three steps, both ends levels"

            Expect.equal
                (quantized (LogarithmicQuantizer 2.0) 4.0 0.0 2 [ 0.0; 0.4; 0.6; 1.4; 1.6; 2.9; 3.1; 9.0 ])
                [ 0.0; 0.0; 1.0; 1.0; 2.0; 2.0; 4.0; 4.0 ]
                "0, 1, 2, 4, each to the nearest"

            Expect.equal (quantized (UniformQuantizer()) 1.0 0.0 0 [ 0.0; 7.0 ]) [ 0.5; 0.5 ] "0 bits, one cell"
            Expect.equal (quantized (DoReFaQuantizer()) 3.0 0.0 0 [ 0.0; 7.0 ]) [ 0.0; 0.0 ] "0 bits, nothing"
            Expect.equal (quantized (LogarithmicQuantizer 2.0) 3.0 0.0 0 [ 0.0; 7.0 ]) [ 0.0; 0.0 ] "0 bits, nothing"
        }

        testProperty "levels stay as they are, and there are no more than 2^b"
        <| fun (NonEmptyArray(numbers: NormalFloat[])) (PositiveInt interval) (bits: byte) ->
            let bits = int bits % 9
            let numbers = [ for NormalFloat value in numbers -> abs value % 1000.0 ]

            for quantizer in all do
                use tensor = torch.tensor [| for number in numbers -> float32 number |]

                let interval, lowest, levels =
                    scalar (float interval), scalar 0.0, scalar (2.0 ** float bits)

                use indices = quantizer.Indices(tensor, interval, lowest, levels)
                use once = quantizer.Values(indices, interval, lowest, levels)
                use twice = quantizer.Quantize(once, interval, lowest, levels)
                Expect.equal (values twice) (values once) quantizer.Name

                for index in values indices do
                    Expect.isTrue (index >= 0.0f && index < float32 (1 <<< bits) && index = round index) quantizer.Name

        test "found intervals are the best there are, errors fall with bits, a dead channel has none" {
            use maps = features 1L 8L 3L
            maps.select(1, 1L).zero_() |> ignore

            for quantizer in all do
                let table = IntervalSearch.Run(maps, quantizer, subject quantizer)
                Expect.equal (Array.max table.SquaredErrors[1]) 0.0 $"{quantizer.Name}: dead"

                for channel in [ 0L; 2L ] do
                    let errors = table.SquaredErrors[int channel]
                    let own = maps.select (1, channel)

                    for bits in 1..4 do
                        Expect.isLessThan errors[bits] errors[bits - 1] $"{quantizer.Name}, {bits} bits"

                        for interval in [ 0.05..0.05..4.0 ] do
                            use other =
                                quantizer.Quantize(own, scalar interval, scalar 0.0, scalar (2.0 ** float bits))

                            let error = (other - own).square().mean().ToSingle()

                            Expect.isGreaterThanOrEqual
                                (float error)
                                (errors[bits] * 0.99)
                                $"{quantizer.Name}, {bits} bits, {interval}"

            // one cell that stands for its middle: the mean
            let uniform = UniformQuantizer()
            let table = IntervalSearch.Run(maps, uniform, subject uniform)
            let mean = maps.select(1, 2L).mean().ToSingle()
            Expect.isLessThan (abs (table.Intervals[2][0] / 2.0f / mean - 1.0f)) 0.02f "0 bits are the mean"
        }

        test "a table is read as it was written, and refused for anything else" {
            withFile (fun path ->
                use maps = features 2L 4L 3L
                let quantizer = DoReFaQuantizer()
                let table = IntervalSearch.Run(maps, quantizer, subject quantizer)
                table.Write path
                let read = IntervalTable.Read(path, subject quantizer, 3)
                Expect.equal read.Intervals table.Intervals "intervals"
                Expect.equal read.Lowest table.Lowest "lowest"
                Expect.equal read.SquaredErrors table.SquaredErrors "errors"

                let refused (expected: IntervalSubject) channels (said: string) =
                    let message =
                        Expect.throwsC (fun () -> IntervalTable.Read(path, expected, channels) |> ignore) (fun error ->
                            Expect.isTrue (error :? ArtifactException) "kind"
                            error.Message)

                    Expect.stringStarts message path "names the file"
                    Expect.stringContains message said "what is said"

                refused
                    (subject (UniformQuantizer()))
                    3
                    "quantizer uniform; it was made for network net-0, layer layer, quantizer dorefa"

                refused (IntervalSubject("net-1", "layer", "dorefa")) 3 "expected a table for network net-1"
                refused (subject quantizer) 4 "expected 37 lines, a first one and 9 for each of 4 channels, got 28"

                let lines = File.ReadAllLines path
                lines[5] <- lines[5].Replace(",4,", ",4,x")
                File.WriteAllLines(path, lines)
                refused (subject quantizer) 3 "line 6: expected channel 0 with 4 bits"
                File.WriteAllText(path, "nothing")
                refused (subject quantizer) 3 "expected an interval table, whose first line is"

                use cancelled = new CancellationTokenSource()
                cancelled.Cancel()

                Expect.throwsT<OperationCanceledException>
                    (fun () ->
                        IntervalSearch.Run(maps, quantizer, subject quantizer, cancelled.Token)
                        |> ignore)
                    "cancelled")
        }
    ]

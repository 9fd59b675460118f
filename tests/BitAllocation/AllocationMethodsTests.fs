module DQ.Tests.BitAllocation.AllocationMethodsTests

open System
open System.Collections.Generic
open System.Threading
open Expecto
open FsCheck
open TorchSharp
open DQ.Core.Artifacts
open DQ.Core.BitAllocation
open DQ.Tests.BitAllocation.ChannelQuantizerTests

let private quantizer: ChannelQuantizer = UniformQuantizer()

let private settings = GreedySettings(0.9, 0.1, 4, 50)

let private channels = 6

/// Features, their table, and an output error behind a back made of the features' channel weights.
let private withError (back: torch.Tensor -> torch.Tensor) only act =
    use maps = features 3L 5L (int64 channels)

    let table =
        IntervalSearch.Run(maps, quantizer, IntervalSubject("n", "l", quantizer.Name))

    use intervals = new IntervalTensors(quantizer, table, torch.CPU)

    use error =
        new OutputError(maps, Func<torch.Tensor, torch.Tensor> back, intervals, Option.toObj only)

    act maps table intervals (ChannelStatistics.Of(maps, intervals)) error

let private weights =
    // made first inside of some test's scope
    lazy
        (torch
            .tensor([| 4.0f; 0.1f; 2.0f; 0.0f; 1.0f; 0.5f |])
            .reshape(1L, int64 channels, 1L, 1L)
            .DetachFromDisposeScope())

/// Errors of channels add up: every value is an output of its own.
let private separable (maps: torch.Tensor) = (maps * weights.Value).flatten 1L

/// Channels meet: a random map of means, rectified, and another.
let private mixing =
    lazy
        (use generator = new torch.Generator(5UL)

         let drawn (sizes: int64[]) =
             torch.randn(sizes, generator = generator).DetachFromDisposeScope()

         let first = drawn [| int64 channels; 8L |]
         let second = drawn [| 8L; 3L |]
         fun (maps: torch.Tensor) -> maps.mean([| 2L; 3L |]).matmul(first).relu().matmul second)

let private find name statistics table (error: OutputError) budget : FoundAllocation =
    if name = AllocationMethods.Greedy then
        AllocationMethods.FindGreedy(error, statistics, settings, null, budget, ignore)
    else
        AllocationMethods.Find(name, error, table, budget, 1L)

[<Tests>]
let tests =
    testSequenced
    <| testList "BitAllocation.AllocationMethods" [
        test "the error of neighbours is that of whole allocations, however many go through at once" {
            use maps = features 3L 5L (int64 channels)

            let table =
                IntervalSearch.Run(maps, quantizer, IntervalSubject("n", "l", quantizer.Name))

            use intervals = new IntervalTensors(quantizer, table, torch.CPU)
            let back = Func<torch.Tensor, torch.Tensor> mixing.Value

            for memory in [ 1L; 1L <<< 20 ] do
                use error = new OutputError(maps, back, intervals, null, memory)
                Expect.equal (error.Current()) 0.0 "nothing is quantized"
                error.Set [| 3; 0; 8; 2; 1; 4 |]

                let neighbours = [|
                    [| BitChange(0, 4) |]
                    [| BitChange(1, 1); BitChange(2, 7) |]
                    [||]
                    [| BitChange(5, OutputError.Exact) |]
                |]

                let found =
                    error.Of([| for changes in neighbours -> changes :> IReadOnlyList<BitChange> |])

                for changes, said in Seq.zip neighbours found do
                    let bits = Seq.toArray error.Bits

                    for change in changes do
                        bits[change.Channel] <- change.Bits

                    use quantized = intervals.Quantize(maps, Array.map (max 0) bits)

                    for channel, count in Array.indexed bits do
                        if count = OutputError.Exact then
                            quantized.select(1, int64 channel).copy_(maps.select (1, int64 channel))
                            |> ignore

                    let expected = (back.Invoke quantized - back.Invoke maps).square().mean().ToSingle()
                    Expect.floatClose Accuracy.medium said (float expected) $"{bits}"

                Expect.sequenceEqual error.Bits [| 3; 0; 8; 2; 1; 4 |] "what stands is left"
                Expect.floatClose Accuracy.high (error.Of [| 3; 0; 8; 2; 1; 4 |]) (error.Current()) "of itself"
        }

        testPropertyWithConfig
            {
                FsCheckConfig.defaultConfig with
                    maxTest = 20
            }
            "every method gives the budget, at most 8 bits to a channel"
        <| fun (NonNegativeInt drawn) ->
            let budget = 1 + drawn % (8 * channels)

            withError mixing.Value None (fun _ table _ statistics error ->
                for name in AllocationMethods.Names do
                    let found = find name statistics table error budget
                    Expect.equal (Array.sum found.Bits) budget name
                    Expect.isTrue (found.Bits |> Array.forall (fun bits -> bits >= 0 && bits <= 8)) name
                    Expect.floatClose Accuracy.medium found.OutputSquaredError (error.Of found.Bits) name)

        test "where errors add up the dynamic programme is the optimum, and the greedy method near it" {
            withError separable None (fun _ table _ statistics error ->
                for budget in [ 6; 13; 18; 30 ] do
                    let dynamic = find AllocationMethods.Dynamic statistics table error budget

                    for name in AllocationMethods.Names do
                        let other = find name statistics table error budget

                        Expect.isGreaterThanOrEqual
                            other.OutputSquaredError
                            (dynamic.OutputSquaredError * 0.999)
                            $"{name}, {budget}"

                    let greedy = find AllocationMethods.Greedy statistics table error budget
                    Expect.isLessThan greedy.OutputSquaredError (dynamic.OutputSquaredError * 1.1) $"greedy, {budget}"
                    Expect.equal greedy.Bits[3] 0 "a channel without effect gets nothing")
        }

        test "the programme is exact: brute force over small tables agrees" {
            let random = Random 4

            for _ in 1..20 do
                let errors = [| for _ in 1..4 -> [| for _ in 0..8 -> random.NextDouble() |] |]
                let budget = random.Next 33

                let sum (bits: int[]) =
                    Seq.sum (Seq.map2 (fun (row: float[]) count -> row[count]) errors bits)

                let all = ExhaustiveSearch.Allocations(4, budget) |> Seq.toArray
                Expect.isTrue (all |> Array.forall (fun bits -> Array.sum bits = budget)) "budget"
                Expect.equal (Array.distinct all).Length all.Length "each once"

                Expect.floatClose
                    Accuracy.high
                    (sum (DynamicProgramme.Solve(errors, budget)))
                    (all |> Array.map sum |> Array.min)
                    "least"

            Expect.equal (Seq.length (ExhaustiveSearch.Allocations(3, 4))) 15 "ways to give 4 bits to 3 channels"

            Expect.throwsT<ArgumentOutOfRangeException>
                (fun () -> DynamicProgramme.Solve([| [| 1.0; 0.0 |] |], 2) |> ignore)
                "more bits than there is room for"
        }

        test "no method is below the exhaustive search, and no single move makes the greedy one better" {
            withError mixing.Value (Some([| 0; 2; 4; 5 |] :> IReadOnlyList<int>)) (fun _ table _ statistics error ->
                let struct (best, least, tried) = ExhaustiveSearch.Run(error, 10)
                Expect.equal (Array.sum best, tried) (10, 270) "the budget, and all of them"

                for name in AllocationMethods.Names do
                    let found = find name statistics table error 10
                    Expect.isGreaterThanOrEqual found.OutputSquaredError (least * 0.99999) name

                let greedy = find AllocationMethods.Greedy statistics table error 10
                let equal = find AllocationMethods.Equal statistics table error 10

                Expect.isLessThanOrEqual
                    greedy.OutputSquaredError
                    (equal.OutputSquaredError * 1.00001)
                    "not above equal bits"

                // with so few channels every single move was tried
                for giver in 0..3 do
                    for taker in 0..3 do
                        if giver <> taker && greedy.Bits[giver] > 0 && greedy.Bits[taker] < 8 then
                            let moved = Array.copy greedy.Bits
                            moved[giver] <- moved[giver] - 1
                            moved[taker] <- moved[taker] + 1

                            Expect.isGreaterThan
                                (error.Of moved)
                                (greedy.OutputSquaredError * 0.9998)
                                $"from {giver} to {taker}")
        }

        test "giving bits goes on from a smaller budget as if it had not stopped; cancelling stops it" {
            withError mixing.Value None (fun _ _ _ statistics error ->
                let greedy = GreedyAllocation(error, statistics, settings)
                let none = Array.zeroCreate channels
                let whole = greedy.Give(none, 20, ignore)
                let half = greedy.Give(none, 9, ignore)
                Expect.equal (greedy.Give(half, 20, ignore)) whole "in two parts"
                use source = new CancellationTokenSource()

                Expect.throwsT<OperationCanceledException>
                    (fun () ->
                        greedy.Give(
                            none,
                            20,
                            (fun given ->
                                if given = 5 then
                                    source.Cancel()),
                            source.Token
                        )
                        |> ignore)
                    "cancelled"

                Expect.equal (Seq.sum error.Bits) 5 "where it stopped")
        }

        test "equal and random bits" {
            Expect.equal (BaselineAllocations.Equal(4, 8)) [| 2; 2; 2; 2 |] "all the same"
            Expect.equal (BaselineAllocations.Equal(4, 6)) [| 1; 2; 1; 2 |] "spread evenly"

            Expect.equal
                (BaselineAllocations.Random(50, 200, 1L))
                (BaselineAllocations.Random(50, 200, 1L))
                "the seed's"

            Expect.notEqual
                (BaselineAllocations.Random(50, 200, 1L))
                (BaselineAllocations.Random(50, 200, 2L))
                "another seed's"

            Expect.equal
                (BaselineAllocations.TwoPass([| 16.0; 1.0; 0.0 |], 4))
                [| 3; 1; 0 |]
                "four times the cost, one bit more"
        }
    ]

module DQ.Tests.Training.AdamOptimizerTests

open System
open Expecto
open TorchSharp
open DQ.Core.Training

/// Around the length of a piece, and of a vector.
let private lengths = [ 1; 7; 8; 9; 1000; 32767; 32768; 32769; 100_003 ]

let private normal (seed: int) length =
    let random = Random seed

    Array.init length (fun _ ->
        let radius = sqrt (-2.0 * log (1.0 - random.NextDouble()))
        float32 (radius * cos (2.0 * Math.PI * random.NextDouble())))

let private floats (tensor: torch.Tensor) =
    tensor.detach().cpu().contiguous().data<float32>().ToArray()

let private parameters () = [
    for length in lengths ->
        struct (string length, new Modules.Parameter(torch.tensor (normal length length), requires_grad = true))
]

let private giveGradients step (parameters: struct (string * Modules.Parameter) list) =
    for struct (name, parameter) in parameters do
        parameter.grad <- torch.tensor (normal (step * 1_000_000 + int name) (int name))

/// Three updates; the gradients' norms and all values afterwards.
let private trained () =
    let parameters = parameters ()
    use optimizer = new AdamOptimizer(parameters)

    let norms = [
        for step in 1..3 do
            optimizer.ClearGradients()
            giveGradients step parameters
            yield optimizer.GradientNorm()
            optimizer.Update(1e-2, 0.1, 0.5)
    ]

    norms, [ for struct (_, parameter) in parameters -> floats parameter ]

/// Adam with decoupled decay in float64, from its definition.
let private expected length =
    let values = normal length length |> Array.map float
    let first, second = Array.zeroCreate length, Array.zeroCreate length

    for step in 1..3 do
        for index, gradient in Seq.indexed (normal (step * 1_000_000 + length) length) do
            let slope = 0.5 * float gradient
            first[index] <- 0.9 * first[index] + 0.1 * slope
            second[index] <- 0.999 * second[index] + 0.001 * slope * slope
            let mean = first[index] / (1.0 - 0.9 ** step)
            let root = sqrt (second[index] / (1.0 - 0.999 ** step))
            values[index] <- values[index] * (1.0 - 1e-2 * 0.1) - 1e-2 * mean / (root + 1e-8)

    values

let private worst (actual: float32[]) (expected: float[]) =
    Array.map2 (fun value target -> abs (float value - target)) actual expected
    |> Array.max

[<Tests>]
let tests =
    testSequenced
    <| testList "Training.AdamOptimizer" [
        test "three updates are those of the definition, and the norm is of all gradients" {
            let norms, values = trained ()

            for length, actual in List.zip lengths values do
                Expect.isLessThan (worst actual (expected length)) 2e-6 $"{length} values"

            let squares step =
                lengths
                |> List.sumBy (fun length ->
                    normal (step * 1_000_000 + length) length
                    |> Array.sumBy (fun value -> float value ** 2.0))

            for step, norm in Seq.indexed norms do
                Expect.floatClose Accuracy.high norm (sqrt (squares (step + 1))) $"norm {step}"
        }

        for decay in [ 0.0; 0.1 ] do
            test $"agrees with the library's, decay {decay}" {
                let start = torch.tensor(normal 1 35).view(5L, 7L)

                let ours, theirs =
                    new Modules.Parameter(start.clone ()), new Modules.Parameter(start.clone ())

                use optimizer = new AdamOptimizer([ struct ("p", ours) ])
                use library = torch.optim.AdamW([ theirs ], lr = 1e-2, weight_decay = decay)

                for step in 1..20 do
                    let slope = torch.tensor(normal (100 + step) 35).view(5L, 7L)

                    for parameter in [ ours; theirs ] do
                        parameter.grad <- null
                        (parameter * slope).sum().backward()

                    optimizer.Update(1e-2, decay, 1.0)
                    library.step () |> ignore

                Expect.isLessThan ((ours - theirs).abs().max().ToSingle()) 1e-5f "parameters"
            }

        test "any number of threads gives the same bits" {
            let threads = torch.get_num_threads ()

            try
                torch.set_num_threads 1
                let alone = trained ()
                torch.set_num_threads 4
                Expect.equal (trained ()) alone "norms and values"
            finally
                torch.set_num_threads threads
        }

        test "a parameter without a gradient stays, with its moments" {
            let parameters = parameters ()
            use optimizer = new AdamOptimizer(parameters)
            let struct (_, untouched) = parameters[4]
            giveGradients 1 parameters
            untouched.grad <- null
            let before = floats untouched
            optimizer.Update(1e-2, 0.1, 1.0)
            Expect.equal (floats untouched) before "values"

            for entry in optimizer.State do
                if entry.Key.EndsWith ".1000" then
                    Expect.isTrue (floats entry.Value |> Array.forall ((=) 0f)) entry.Key
        }

        test "parameters one after the other keep their handles, and are updated as each alone" {
            let shapes: int64[] list = [ [| 3L; 4L |]; [| 7L |]; [| 1L |]; [| 2L; 3L; 2L |] ]

            let made seed = [|
                for index, shape in Seq.indexed shapes ->
                    torch.tensor(normal (seed + index) (int (Array.fold (*) 1L shape))).view shape
            |]

            let values, first, second = made 10, made 20, made 30 |> Array.map _.abs()
            let slopes = made 40
            let clones (tensors: torch.Tensor[]) = tensors |> Array.map _.clone()
            let others = Array.zip3 (clones values) (clones first) (clones second)
            let factors = AdamFactors(0.9, 0.999, 1e-8, 1e-2, 0.3, 0.999, 0.5)

            let parameters =
                values
                |> Array.map (fun value -> new Modules.Parameter(value, requires_grad = true) :> torch.Tensor)

            use flat = new FlatAdam(parameters, first, second)
            use _ = torch.no_grad ()

            for missing in [ -1; 1 ] do
                flat.Gather [|
                    for index, slope in Seq.indexed slopes -> if index = missing then null else slope
                |]
                |> ignore

                flat.Update factors

                for index, (value, one, two) in Seq.indexed others do
                    if index <> missing then
                        FlatAdam.Update(value, slopes[index], one, two, factors)

                for index, (value, one, two) in Seq.indexed others do
                    Expect.isTrue (value.Equals parameters[index]) $"value {index}, without {missing}"
                    Expect.isTrue (one.Equals first[index] && two.Equals second[index]) $"moments {index}"
        }

        test "the operators that serve a GPU make the same update" {
            let length = 1000

            let one = [
                for seed in 1..4 do
                    let values = normal seed length
                    torch.tensor (if seed = 4 then Array.map abs values else values)
            ]

            let other = one |> List.map _.clone()

            let factors = AdamFactors(0.9, 0.999, 1e-8, 1e-2, 0.3, 0.999, 0.5)

            AdamPass([| one[0] |], [| one[2] |], [| one[3] |]).Update([| one[1] |], factors)
            FlatAdam.Update(other[0], other[1], other[2], other[3], factors)

            for actual, expected in List.zip one other do
                Expect.isLessThan (worst (floats actual) (floats expected |> Array.map float)) 1e-5 "values and moments"
        }
    ]

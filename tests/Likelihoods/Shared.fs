/// Inputs and measures the likelihood tests share.
module DQ.Tests.Likelihoods.Shared

open DQ.Tests.Fixtures
open TorchSharp
open DQ.Core.Formats

type Tensor = torch.Tensor

/// TorchSharp's overloads of scalar and tensor need the type said.
let scalar (value: float) : Scalar = Scalar.op_Implicit value

let ofFloats (values: float[]) (shape: int64 list) : Tensor =
    torch.tensor(values).reshape(List.toArray shape)

let spec kind components =
    DQ.Core.Likelihoods.LikelihoodSpec(Kind = kind, Components = components)

/// Standard normal numbers, the same for the same seed, untouched by the global generator.
let normal (seed: int) (shape: int64 list) =
    use generator = new torch.Generator(uint64 seed, torch.CPU)
    torch.randn (List.toArray shape, torch.float64, generator = generator)

/// Uniform pixels with about every sixteenth value at 0 and at 255.
let pixels (seed: int) (shape: int64 list) =
    use _ = torch.NewDisposeScope()
    use generator = new torch.Generator(uint64 (seed + 1000), torch.CPU)

    let values =
        torch.randint (-18L, 274L, List.toArray shape, torch.int64, generator = generator)

    values.clamp(scalar 0.0, scalar 255.0).``to``(torch.uint8).MoveToOuterDisposeScope()

let floats (tensor: Tensor) =
    use cpu = tensor.``to``(torch.float64).contiguous()
    cpu.data<float>().ToArray()

/// ‖actual − expected‖ / ‖expected‖
let distance (actual: float[]) (expected: float[]) =
    let norm values =
        sqrt (Array.sumBy (fun x -> x * x) values)

    norm (Array.map2 (-) actual expected) / max 1e-300 (norm expected)

let worstRelative (actual: float[]) (expected: float[]) =
    Array.map2 (fun a e -> abs (a - e) / max 1.0 (abs e)) actual expected
    |> Array.max

/// Loss per image and its gradient (of the sum of losses weighted by `weights`, ones when empty).
let lossAndGradient
    (likelihood: DQ.Core.Likelihoods.Likelihood)
    (weights: float list)
    (output: Tensor)
    (pixels: Tensor)
    =
    use _ = torch.NewDisposeScope()
    let leaf = output.detach().clone().requires_grad_ true
    let loss = likelihood.Loss(leaf, pixels)

    let total =
        match weights with
        | [] -> loss.sum ()
        | weights -> (loss * torch.tensor(List.toArray weights).``to``(loss.dtype)).sum()

    total.backward ()
    floats (loss.detach ()), floats (nonNull leaf.grad)

/// The tensors of a parity file.
let parity (name: string) =
    use file = SafeTensorsFile.Open(fixture [ "parity"; name ])

    Map [
        for entry in file.Entries do
            entry.Name, file.Read entry.Name
    ]

/// Outputs for a logistic mixture like a network's: means over the range, log-scales about −3; float64.
let plausible seed channels n (sides: int64) =
    use _ = torch.NewDisposeScope()

    let output =
        normal seed [
            2L
            DQ.Core.Likelihoods.LogisticMixture(channels, n).OutputChannels
            sides
            sides
        ]

    let parts = if channels = 1 then 2 else 3

    for c in 0 .. channels - 1 do
        output.narrow(1L, int64 (n + c * parts * n + n), int64 n).sub_(scalar 3.0)
        |> ignore

    output.MoveToOuterDisposeScope()

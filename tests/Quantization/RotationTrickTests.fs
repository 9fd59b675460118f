module DQ.Tests.Quantization.RotationTrickTests

open Expecto
open TorchSharp
open DQ.Core.Quantization

let private estimator = RotationTrick()

let private cosine (a: torch.Tensor) (b: torch.Tensor) = (a * b).sum(2L) / (a.norm 2 * b.norm 2)

let private gradientOf (input: torch.Tensor) quantized (slope: torch.Tensor) =
    let leaf = input.detach().requires_grad_()
    let result = estimator.Apply(leaf, quantized)
    (result * slope).sum().backward()
    result.detach (), leaf.grad |> Option.ofObj |> Option.get

[<Tests>]
let tests =
    testList "Quantization.RotationTrick" [
        test "the gradient lies to the input as it lay to the quantized vector, stretched by |q|/|u|" {
            let any () = torch.randn [| 2L; 3L; 5L; 2L; 2L |]
            let input, quantized, slope = any (), any (), any ()
            let value, gradient = gradientOf input quantized slope
            Expect.isLessThan ((value - quantized).abs().max().ToSingle()) 1e-5f "value"
            let stretch = quantized.norm 2 / input.norm 2
            Expect.isLessThan ((gradient.norm 2 - stretch * slope.norm 2).abs().max().ToSingle()) 1e-3f "length"
            Expect.isLessThan ((cosine gradient input - cosine slope quantized).abs().max().ToSingle()) 1e-4f "angle"
        }

        test "a vector quantized to itself has the straight-through gradient" {
            let shape = [| 1L; 1L; 4L; 3L; 3L |]
            let input, slope = torch.randn shape, torch.randn shape
            let _, gradient = gradientOf input input slope
            Expect.isLessThan ((gradient - slope).abs().max().ToSingle()) 1e-5f "gradient"
        }

        test "opposite and zero vectors give numbers" {
            let shape = [| 1L; 1L; 4L; 1L; 1L |]
            let quantized, slope = torch.ones shape, torch.randn shape

            for input in [ -quantized; torch.zeros_like quantized ] do
                let value, gradient = gradientOf input quantized slope
                Expect.sequenceEqual (value.data<float32>().ToArray()) (quantized.data<float32>().ToArray()) "value"
                Expect.isTrue (gradient.isfinite().all().ToBoolean()) "gradient"
        }
    ]

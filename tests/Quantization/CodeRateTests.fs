module DQ.Tests.Quantization.CodeRateTests

open System
open Expecto
open DQ.Core.Evaluation
open DQ.Core.Quantization

let private bits (evaluated: int64[]) (training: int64[]) =
    CodeRate.EmpiricalBits(evaluated, training)

let private close (actual: float) expected what =
    Expect.floatClose Accuracy.high actual expected what

[<Tests>]
let tests =
    testList "Quantization.CodeRate" [
        test "the paper's CIFAR-10 setting: 2.52 nats and its codes are 4.57 bits per dim" {
            let uniform =
                CodeRate.UniformBitsPerImage [ CodeGrid(128, 5, 8, 8); CodeGrid(256, 5, 4, 4) ]

            close uniform 2880.0 "5·64·7 + 5·16·8 bits"
            let rates = RateAccounting(3072L, Nullable 2.52, uniform, uniform / 2.0)
            close rates.CodeRateUniformBitsPerDim 0.9375 "uniform"
            close rates.CodeRateEmpiricalBitsPerDim 0.46875 "empirical"
            close (rates.ReconstructionBitsPerDim.GetValueOrDefault()) (2.52 / log 2.0) "reconstruction"
            Expect.equal (Math.Round(rates.TotalUniformBitsPerDim.GetValueOrDefault(), 2)) 4.57 "total"
            close (rates.TotalUniformBitsPerImage.GetValueOrDefault()) (3072.0 * 2.52 / log 2.0 + 2880.0) "per image"

            close
                (rates.TotalEmpiricalBitsPerImage.GetValueOrDefault())
                (3072.0 * 2.52 / log 2.0 + 1440.0)
                "empirical total"
        }

        test "a reconstruction that is no likelihood has no bits and no total" {
            let rates = RateAccounting(12L, Nullable(), 24.0, 12.0)
            Expect.isFalse rates.ReconstructionBitsPerDim.HasValue "reconstruction"
            Expect.isFalse rates.TotalUniformBitsPerImage.HasValue "total"
            close rates.CodeRateUniformBitsPerDim 2.0 "codes still cost"
        }

        test "equal frequencies cost log2 K, whatever is coded" {
            close (bits [| 5L; 0L; 1L; 2L |] [| 7L; 7L; 7L; 7L |]) 16.0 "8 codes of 2 bits"
        }

        test "an unseen code is dear but not impossible" {
            close (bits [| 0L; 1L |] [| 1022L; 0L |]) 10.0 "one in 1024"
        }

        testProperty "no other frequencies beat the codes' own"
        <| fun (counts: byte[], others: byte[]) ->
            let size = min counts.Length others.Length
            // smoothing adds one, so the codes' own are one less
            let own = Array.init size (fun index -> int64 counts[index] + 1L)

            bits own (Array.map (fun count -> count - 1L) own)
            <= bits own (Array.init size (fun index -> int64 others[index])) + 1e-6

        test "counts of another codebook are refused" {
            Expect.throwsT<ArgumentException> (fun () -> bits [| 1L |] [| 1L; 2L |] |> ignore) "lengths"
        }
    ]

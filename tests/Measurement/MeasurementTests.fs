module DQ.Tests.Measurement.MeasurementTests

open System
open System.Threading
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Likelihoods
open DQ.Core.Measurement
open DQ.Tests.Autoencoders.HierarchicalAutoencoderTests

[<Tests>]
let tests =
    testList "Measurement" [
        test "a timing is the median of its repetitions, with the distance between quartiles" {
            let timing = Timing.Of [| 5.0; 1.0; 3.0; 2.0; 4.0 |]
            Expect.equal timing.MedianSeconds 3.0 "median"
            Expect.equal timing.SpreadSeconds 2.0 "from 2 to 4"
            Expect.equal timing.Repetitions 5 "repetitions"
            Expect.throwsT<ArgumentException> (fun () -> Timing.Of [||] |> ignore) "none"
        }

        test "warm-up is not counted, waiting is" {
            let mutable runs = 0

            let timing =
                Timing.Measure(
                    torch.CPU,
                    8,
                    fun () ->
                        runs <- runs + 1
                        Thread.Sleep 2
                )

            Expect.equal timing.Repetitions 8 "counted"
            Expect.equal runs 10 "two before"
            Expect.isGreaterThan timing.MedianSeconds 0.0019 "seconds"
        }

        test "the multiply-adds of a pass are those counted by hand" {
            let spec =
                AutoencoderSpec(
                    Channels = 8,
                    ResidualBlocks = 0,
                    CoderBlocks = 1,
                    CodeCounts = [| 4 |],
                    Codebooks = 3,
                    CodeWidth = 5,
                    Likelihood = LikelihoodSpec(Kind = "squared_error")
                )

            use model = new HierarchicalAutoencoder(spec)
            let batch, half, whole = 2L, 8L * 8L, 16L * 16L

            let byHand =
                half * (3L * 4L * 16L + 4L * 8L * 9L) // encoder
                + half * (8L * 15L) // projection to 3 slices of 5
                + half * (15L * 8L * 9L) // upsampler
                + half * (8L * 8L * 9L + 8L * 8L * 16L) // decoder, its transposed convolution at the smaller side's positions
                + whole * (8L * 8L * 9L + 8L * 3L * 9L)

            let traced = ConvolutionTrace.Of(model, images batch 3L 16L)
            Expect.equal (traced |> Seq.sumBy _.MultiplyAdds) (batch * byHand) "multiply-adds"
            Expect.isTrue model.training "the mode it had"
            let again = ConvolutionTrace.Of(model, images batch 3L 16L)
            Expect.equal again.Count traced.Count "nothing keeps watching"
        }

        testSequenced
        <| test "the peak is one since the last reset" {
            if OperatingSystem.IsLinux() then
                PeakMemory.Reset()
                let before = PeakMemory.Bytes().Value

                do
                    use large = torch.ones (32L * 1024L * 1024L)
                    ignore large

                Expect.isGreaterThan (PeakMemory.Bytes().Value - before) 100_000_000L "128 MB more"
                PeakMemory.Reset()
                Expect.isLessThan (PeakMemory.Bytes().Value - before) 100_000_000L "forgotten"
        }
    ]

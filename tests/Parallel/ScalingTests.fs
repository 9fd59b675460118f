module DQ.Tests.Parallel.ScalingTests

open Expecto
open FsCheck
open DQ.Core.Autoencoders
open DQ.Pipeline.Training

[<Tests>]
let tests =
    testList "Parallel.Scaling" [
        test "bytes of a step: gradients, and counts, sums and choices of the codes" {
            let spec = AutoencoderSpec(CodeCounts = [| 8; 4 |], Codebooks = 2, CodeWidth = 3)
            // 24 codes of 3 numbers and a count, and four losses
            Expect.equal (Scaling.bytes spec 100L) (4L * (100L + 24L * 4L) + 8L * (24L + 4L)) "bytes"
        }

        test "two processes over a link without delay halve a step, and the sum comes on top" {
            let link: Scaling.Link = {
                Name = ""
                BytesPerSecond = 1e6
                LatencySeconds = 0.0
            }

            // half of 1 s, and 2 · 1/2 · 100,000 bytes at 1 MB/s
            Expect.floatClose Accuracy.high (Scaling.seconds link 100_000L 8 1.0 2) 0.6 "seconds"
            // 3 of 8 images are the largest share of three
            Expect.floatClose Accuracy.high (Scaling.seconds link 0L 8 1.0 3) 0.375 "unequal shares"
        }

        testProperty "the most that are worth using are worth using, and no more than there are images"
        <| fun (PositiveInt images) (PositiveInt kilobytes) (PositiveInt milliseconds) ->
            for link in Scaling.links do
                let bytes, alone = 1000L * int64 kilobytes, 1e-3 * float milliseconds
                let most = Scaling.most link bytes images alone
                Expect.isLessThanOrEqual most images "one for each image"
                let gained = Scaling.speedup link bytes images alone most

                if most > 1 then
                    Expect.isGreaterThanOrEqual gained (Scaling.worth * float most) link.Name
    ]

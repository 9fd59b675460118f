module DQ.Tests.Likelihoods.PixelNormalizationTests

open Expecto
open DQ.Core.Likelihoods
open DQ.Tests.Likelihoods.Shared
open TorchSharp

[<Tests>]
let tests =
    testList "Likelihoods.PixelNormalization" [
        test "colour uses ImageNet's mean and deviation" {
            use _ = torch.NewDisposeScope()
            let white = torch.full([| 1L; 3L; 1L; 1L |], scalar 255.0).``to`` torch.uint8

            let expected = [| (1.0 - 0.485) / 0.229; (1.0 - 0.456) / 0.224; (1.0 - 0.406) / 0.225 |]

            Expect.isLessThan (worstRelative (floats (PixelNormalization.Normalize white)) expected) 1e-6 "white"
        }

        test "the published network's input is ours" {
            use _ = torch.NewDisposeScope()
            let file = parity "vq-mse-1level.safetensors"
            let ours = floats (PixelNormalization.Normalize file["input.pixels"])
            Expect.isLessThan (worstRelative ours (floats file["input.normalized"])) 2e-6 "normalized"
        }

        for channels in [ 3; 1 ] do
            test $"{channels} channels: every pixel comes back" {
                use _ = torch.NewDisposeScope()

                let every =
                    torch.arange(256L).``to``(torch.uint8).view(1L, 1L, 16L, 16L).expand(1L, channels, 16L, 16L)

                let back = PixelNormalization.Denormalize(PixelNormalization.Normalize every)
                Expect.equal (floats (back.round ())) (floats every) "rounded"
                Expect.isLessThan (worstRelative (floats back) (floats every)) 1e-5 "before rounding"
            }

        test "normalizing leaves the pixels as they were" {
            use _ = torch.NewDisposeScope()
            let given = (pixels 1 [ 1L; 3L; 4L; 4L ]).``to`` torch.float32
            let before = floats given
            PixelNormalization.Normalize given |> ignore
            Expect.equal (floats given) before "given"
        }

        test "values outside come back at the nearest end" {
            use _ = torch.NewDisposeScope()
            let values = torch.tensor([| -9.0; 9.0 |]).view(1L, 1L, 1L, 2L)
            Expect.equal (floats (PixelNormalization.Denormalize values)) [| 0.0; 255.0 |] "ends"
        }

        test "two channels are refused" {
            use _ = torch.NewDisposeScope()
            let two = pixels 1 [ 1L; 2L; 4L; 4L ]

            Expect.throwsC (fun () -> PixelNormalization.Normalize two |> ignore) (fun error ->
                Expect.stringContains error.Message "got (1, 2, 4, 4)" "message")
        }
    ]

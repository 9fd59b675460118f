module DQ.Tests.Images.PixelImageTests

open System
open Expecto
open DQ.Core.Images
open TorchSharp

[<Tests>]
let tests =
    testList "Images.PixelImage" [
        test "luma weighs the channels as Rec. 601 does" {
            let pixels =
                PixelImage([| 255uy; 0uy; 0uy; 10uy; 0uy; 255uy; 0uy; 20uy; 0uy; 0uy; 255uy; 30uy |], 3, 2, 2)

            Expect.equal
                (pixels.WithChannels 1).Bytes
                [| 76uy; 150uy; 29uy; 18uy |]
                "red, green, blue, a mixture (18.15)"
        }

        test "gray to colour and back is the identity" {
            let gray = PixelImage([| 0uy .. 255uy |], 1, 16, 16)
            let colour = gray.WithChannels 3
            Expect.equal colour.Channels 3 "channels"
            Expect.equal (colour.Plane(1).ToArray()) gray.Bytes "a plane"
            Expect.equal (colour.WithChannels 1).Bytes gray.Bytes "back"
        }

        test "other numbers of channels are refused" {
            Expect.throwsT<ArgumentOutOfRangeException> (fun () -> PixelImage(3, 2, 2).WithChannels 4 |> ignore) "4"
        }

        test "a batch comes apart in its images" {
            use batch = torch.arange(24L).``to``(torch.ScalarType.Byte).reshape(2L, 1L, 3L, 4L)
            let images = PixelImage.FromTensor batch
            Expect.hasLength images 2 "images"
            Expect.equal images[1].Bytes [| 12uy .. 23uy |] "bytes"
            Expect.equal (images[1].Channels, images[1].Height, images[1].Width) (1, 3, 4) "shape"
            use floats = torch.zeros (2L, 1L, 3L, 4L)
            Expect.throwsT<ArgumentException> (fun () -> PixelImage.FromTensor floats |> ignore) "floats"
        }
    ]

module DQ.Tests.Images.ImageGridTests

open System
open Expecto
open DQ.Core.Images
open TorchSharp

let private gray level height width =
    PixelImage(Array.create (height * width) level, 1, height, width)

[<Tests>]
let tests =
    testList "Images.ImageGrid" [
        test "images lie row by row on white" {
            let grid = ImageGrid.Tile([| gray 1uy 1 1; gray 2uy 1 1; gray 3uy 1 1 |], 2, 1)

            let expected = [|
                [| 255uy; 255uy; 255uy; 255uy; 255uy |]
                [| 255uy; 1uy; 255uy; 2uy; 255uy |]
                [| 255uy; 255uy; 255uy; 255uy; 255uy |]
                [| 255uy; 3uy; 255uy; 255uy; 255uy |]
                [| 255uy; 255uy; 255uy; 255uy; 255uy |]
            |]

            Expect.equal (grid.Channels, grid.Height, grid.Width) (1, 5, 5) "shape"
            Expect.equal grid.Bytes (Array.concat expected) "pixels"
        }

        test "zoom repeats pixels" {
            let grid = ImageGrid.Tile([| PixelImage([| 1uy; 2uy |], 1, 1, 2) |], 3, 0, 2)
            Expect.equal grid.Bytes [| 1uy; 1uy; 2uy; 2uy; 1uy; 1uy; 2uy; 2uy |] "pixels"
        }

        test "gray beside colour becomes colour" {
            let grid =
                ImageGrid.Tile([| gray 7uy 1 1; PixelImage([| 1uy; 2uy; 3uy |], 3, 1, 1) |], 2, 0)

            Expect.equal grid.Bytes [| 7uy; 1uy; 7uy; 2uy; 7uy; 3uy |] "planes"
        }

        test "rows of batches keep images in columns" {
            use originals = torch.tensor([| 10uy; 20uy |]).reshape(2L, 1L, 1L, 1L)
            use reconstructions = torch.tensor([| 11uy; 21uy |]).reshape(2L, 1L, 1L, 1L)
            let grid = ImageGrid.Rows([| originals; reconstructions |], 0)
            Expect.equal grid.Bytes [| 10uy; 20uy; 11uy; 21uy |] "pixels"
            use one = torch.tensor([| 10uy |]).reshape(1L, 1L, 1L, 1L)

            Expect.throwsT<ArgumentException>
                (fun () -> ImageGrid.Rows([| originals; one |]) |> ignore)
                "rows of another length"
        }
    ]

module DQ.Tests.ReadmeExample

open System.IO
open Expecto

// <readme>
open DQ.Core.Autoencoders
open DQ.Core.Images
open DQ.Core.Native
open DQ.Core.Training
open TorchSharp

let example () =
    LibTorch.Load() |> ignore // before any tensor
    let images = Array.collect (fun n -> DeadLeaves.Generate(0L, n, 32)) [| 0L .. 31L |]
    use pixels = torch.tensor(images, torch.uint8).reshape(32L, 3L, 32L, 32L) // image, channel, row, column

    let objective =
        new AutoencoderObjective(AutoencoderSpec(Channels = 32, CodeCounts = [| 64; 64 |]), [], 0L)

    use session = new TrainingSession(objective, TrainingSpec(), 0L, torch.CPU)
    session.InitializeCodebooks [| pixels |]
    let nats = [ for _ in 1..10 -> session.Step(pixels).Reconstruction ] // per dimension
    let model = objective.Model
    model.eval ()
    let codes = model.Encode pixels // per level, finest first: (32, 5, 8, 8) and (32, 5, 4, 4)
    use decoded = model.Decode(codes, 32L, 32L)
    nats, codes, model.Likelihood.Mean decoded // pictures (32, 3, 32, 32), from 0 to 255
// </readme>

let private root = Path.Combine(__SOURCE_DIRECTORY__, "..")

/// What stands in a file between two lines.
let private between (first: string) (last: string) (file: string) =
    File.ReadAllLines file
    |> Seq.skipWhile ((<>) first)
    |> Seq.skip 1
    |> Seq.takeWhile ((<>) last)
    |> String.concat "\n"

[<Tests>]
let tests =
    testList "Readme" [
        test "the library's example is the code here" {
            let shown = between "```fsharp" "```" (Path.Combine(root, "README.md"))

            let run =
                between "// <readme>" "// </readme>" (Path.Combine(__SOURCE_DIRECTORY__, __SOURCE_FILE__))

            Expect.equal shown run "README.md shows what is compiled"
        }
        testSequenced (
            test "the library's example learns, encodes and decodes" {
                let nats, codes, pictures = example ()
                Expect.isLessThan (List.last nats) (List.head nats - 0.1) "the loss falls"
                let shapes = [ for level in codes -> List.ofArray level.shape ]
                Expect.equal shapes [ [ 32L; 5L; 8L; 8L ]; [ 32L; 5L; 4L; 4L ] ] "codes per level, bottom first"
                Expect.sequenceEqual pictures.shape [ 32L; 3L; 32L; 32L ] "a picture per image"
                let low, high = pictures.min().ToDouble(), pictures.max().ToDouble()
                Expect.isTrue (low >= 0.0 && high <= 255.0) $"pixel values, got {low} to {high}"
            }
        )
    ]

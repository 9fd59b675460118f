module DQ.Tests.Training.WeightAverageTests

open Expecto
open TorchSharp
open DQ.Core.Native
open DQ.Core.Training

let private values (tensor: torch.Tensor) = tensor.data<float32>().ToArray()

[<Tests>]
let tests =
    testList "Training.WeightAverage" [
        test "it follows the recurrence, with a decay that grows up to its own" {
            LibTorch.Load null |> ignore
            use model = torch.nn.Linear(1L, 1L, hasBias = false)
            use _ = torch.no_grad ()

            let set (value: float32) =
                model.weight.fill_ (Scalars.Kept(float value)) |> ignore

            set 1.0f
            use average = new WeightAverage(model, 0.3)
            // (1 + n)/(10 + n) is 2/11 and 3/12 for the first two, and 4/13 is more than 0.3
            let expected =
                [ 2.0, 1L; 5.0, 2L; -1.0, 3L ]
                |> List.scan
                    (fun mean (value, updates) ->
                        set (float32 value)
                        average.Update updates
                        let kept = [ 2.0 / 11.0; 0.25; 0.3 ][int updates - 1]
                        kept * mean + (1.0 - kept) * value)
                    1.0
                |> List.last

            let mean = (average.State |> Seq.exactlyOne).Value
            Expect.floatClose Accuracy.medium (float (Array.head (values mean))) expected "the mean"
            average.Swap()
            Expect.floatClose Accuracy.medium (float (Array.head (values model.weight))) expected "the model has it"
            average.Swap()
            Expect.equal (values model.weight) [| -1.0f |] "and its own values again"
        }
    ]

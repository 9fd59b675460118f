/// The context head against what PyTorch recorded of it (tests/Fixtures/context/make.py), and what must hold of any.
module DQ.Tests.Likelihoods.ContextHeadTests

open System
open System.Text.Json
open Expecto
open TorchSharp
open DQ.Core.Formats
open DQ.Core.Likelihoods.Context
open DQ.Tests.Fixtures
open DQ.Tests.Likelihoods.Shared

let private snakeCase =
    JsonSerializerOptions(PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower)

let private fill (head: ContextHead) (read: string -> Tensor) =
    use _ = torch.no_grad ()

    for struct (name, parameter) in head.named_parameters () do
        use value = read name
        parameter.copy_ value |> ignore

/// The head of a fixture, and its file.
let private recorded name =
    let file = SafeTensorsFile.Open(fixture [ "context"; $"{name}.safetensors" ])

    let spec =
        nonNull (JsonSerializer.Deserialize<ContextSpec>(file.Metadata["spec"], snakeCase))

    let head = new ContextHead(spec)
    fill head (fun parameter -> file.Read $"weights.{parameter}")
    head, file

/// A head whose outputs are no constants.
let private random seed spec =
    torch.manual_seed seed |> ignore
    let head = new ContextHead(spec)
    use _ = torch.no_grad ()

    for struct (_, parameter) in head.named_parameters () do
        parameter.mul_ (scalar 3.0) |> ignore

    head

let private small channels =
    ContextSpec(Channels = channels, Width = 8, Mixtures = 2)

let private places (positions: int[]) =
    torch.tensor (Array.map int64 positions)

let private everywhere (pixels: Tensor) =
    places [| 0 .. int (pixels.shape[0] * pixels.shape[2] * pixels.shape[3]) - 1 |]

let private worst (actual: float32 seq) (expected: float32 seq) =
    Seq.map2 (fun (a: float32) (e: float32) -> float (abs (a - e)) / max 1.0 (float (abs e))) actual expected
    |> Seq.max

[<Tests>]
let tests =
    testSequenced
    <| testList "Likelihoods.ContextHead" [
        for name in [ "color"; "deeper"; "gray" ] do
            test $"{name}: outputs, nats and gradients are PyTorch's" {
                use _ = torch.NewDisposeScope()
                let head, file = recorded name
                use _ = file
                use pixels = file.Read "pixels"
                let outputs = (head.Outputs pixels).t().contiguous().data<float32>()
                Expect.isLessThan (worst outputs (file.Read("outputs").data<float32>())) 1e-4 "outputs"

                let nats = file.Read("nats").data<float32>().ToArray()
                Expect.isLessThan (worst (head.NatsPerPixel pixels) nats) 1e-4 "nats"

                let loss = head.Loss(pixels, everywhere pixels)

                Expect.floatClose
                    Accuracy.medium
                    (float (loss.item<float32>()))
                    (float (Array.average nats) / float head.Spec.Channels)
                    "mean"

                loss.backward ()

                for struct (parameter, value) in head.named_parameters () do
                    let expected = floats (file.Read $"gradients.{parameter}")
                    Expect.isLessThan (distance (floats (nonNull value.grad)) expected) 1e-4 parameter
            }

        for channels in [ 1; 3 ] do
            test $"{channels} channels: a pixel costs what pixels before it say, whatever comes after" {
                use _ = torch.NewDisposeScope()
                use head = random 1L (small channels)
                let before = pixels 1 [ 1L; int64 channels; 7L; 9L ]
                let after = before.clone ()
                let row, column = 3, 4

                let pixel = after.select(3L, int64 column).select(2L, int64 row)
                pixel.copy_ (pixel.bitwise_xor (torch.tensor 85uy)) |> ignore

                let one, other = head.NatsPerPixel before, head.NatsPerPixel after

                for position in 0..62 do
                    let r, c = position / 9, position % 9
                    // one wavefront after another: what is decoded together or earlier can't see it
                    if c + 4 * r <= column + 4 * row && (r, c) <> (row, column) then
                        Expect.equal other[position] one[position] $"pixel {r}, {c}"

                Expect.notEqual other[row * 9 + column + 1] one[row * 9 + column + 1] "its neighbour on the right"
            }

        for name in [ "color"; "deeper"; "gray" ] do
            test $"{name}: the operators of a GPU give the same nats and gradients" {
                use _ = torch.NewDisposeScope()
                let head, file = recorded name
                use _ = file
                use pixels = file.Read "pixels"
                let positions = everywhere pixels

                let joined =
                    torch.randn([| int64 head.Spec.Width; positions.shape[0] |]).requires_grad_ true

                let gradients () = [
                    for struct (_, value) in head.named_parameters () -> floats (nonNull value.grad)
                ]

                let own = head.Loss(pixels, positions, joined)
                own.backward ()
                let expected = floats (nonNull joined.grad) :: gradients ()
                head.zero_grad ()
                joined.grad <- null
                let nats = head.ByOperators(pixels, positions, joined)

                Expect.isLessThan
                    (worst (nats.detach().data<float32>()) (head.NatsPerPixel(pixels, joined)))
                    1e-4
                    "nats"

                let loss = nats.mean () / scalar (float head.Spec.Channels)
                loss.backward ()

                for one, other in List.zip (floats (nonNull joined.grad) :: gradients ()) expected do
                    Expect.isLessThan (distance one other) 1e-4 "gradients"
            }

        test "the 256 values of a gray pixel have probabilities that sum to one" {
            use _ = torch.NewDisposeScope()
            use head = random 2L (small 1)
            let images = (pixels 2 [ 1L; 1L; 4L; 5L ]).repeat(256L, 1L, 1L, 1L)
            let position = 2 * 5 + 3
            let values = torch.arange(scalar 256.0).``to`` torch.uint8
            images.select(1L, 0L).select(1L, 2L).select(1L, 3L).copy_ values |> ignore
            let nats = head.NatsPerPixel images

            Seq.init 256 (fun value -> exp (-float nats[value * 20 + position]))
            |> Seq.sum
            |> fun total -> Expect.floatClose Accuracy.medium total 1.0 "sum"
        }

        test "a loss over some pixels is the mean of theirs, over more of them than a chunk too" {
            use _ = torch.NewDisposeScope()
            use head = random 3L (small 3)
            let images = pixels 3 [ 5L; 3L; 13L; 11L ]
            let nats = head.NatsPerPixel images
            let drawn = Random 3
            let positions = Array.init 5001 (fun _ -> drawn.Next nats.Length)
            let expected = positions |> Array.averageBy (fun position -> float nats[position])
            use loss = head.Loss(images, places positions)
            Expect.floatClose Accuracy.medium (float (loss.item<float32>())) (expected / 3.0) "nats per dim"
        }

        test "what joins the first sums: zeros change nothing, and its gradient summed is the first bias's" {
            use _ = torch.NewDisposeScope()
            use head = random 4L (small 3)
            let images = pixels 4 [ 2L; 3L; 6L; 7L ]
            let positions = everywhere images
            let zeros = torch.zeros (8L, positions.shape[0])
            Expect.sequenceEqual (head.NatsPerPixel(images, zeros)) (head.NatsPerPixel images) "zeros"

            let joined = torch.rand(8L, positions.shape[0]).requires_grad_ true
            let loss = head.Loss(images, positions, joined)
            (loss * scalar 2.0).backward()

            let bias =
                head.named_parameters ()
                |> Seq.pick (fun struct (name, value) -> if name = "enter.bias" then Some value else None)

            let summed = (nonNull joined.grad).sum 1L
            Expect.isLessThan (distance (floats summed) (floats (nonNull bias.grad))) 1e-5 "gradient"

            // one step down along it
            use moved = joined.detach () - (nonNull joined.grad) * scalar 0.5
            Expect.isLessThan ((head.Loss(images, positions, moved)).item<float32>()) (loss.item<float32>()) "descent"
        }

        test "images of any size have finite costs" {
            use _ = torch.NewDisposeScope()
            use head = random 5L (small 3)

            for height, width in [ 1L, 1L; 1L, 6L; 6L, 1L; 2L, 2L; 17L, 33L ] do
                let nats = head.NatsPerPixel(pixels 5 [ 1L; 3L; height; width ])
                Expect.isTrue (nats |> Array.forall (fun cost -> Single.IsFinite cost && cost > 0f)) $"{height}×{width}"
        }

        test "plain weights are those of the layers" {
            use head = random 6L (ContextSpec(Width = 8, Depth = 2, Mixtures = 2))
            let weights = head.Weights()
            Expect.equal (weights.Enter.Inputs, weights.Enter.Outputs) (84, 8) "enter"
            Expect.equal weights.Hidden.Count 2 "hidden"
            Expect.equal (weights.Leave.Inputs, weights.Leave.Outputs) (8, 20) "leave"
            use leave = head.state_dict()["leave.weight"]
            Expect.sequenceEqual weights.Leave.Weight (leave.data<float32>()) "row by row"
        }

        test "pixels of another shape are refused" {
            use head = random 7L (small 3)

            Expect.throwsC
                (fun () -> head.NatsPerPixel(torch.zeros (1L, 1L, 4L, 4L, torch.uint8)) |> ignore)
                (fun error ->
                    Expect.stringContains error.Message "expected uint8 pixels of shape (B, 3, H, W), got" "message")
        }

        test "a training step's rate beside the machine's matrix products (printed)" {
            use _ = torch.NewDisposeScope()
            use head = new ContextHead(ContextSpec())
            let images = pixels 8 [ 256L; 3L; 32L; 32L ]
            let training = DQ.Core.Training.TrainingSpec(BatchSize = 256, PixelsPerStep = 16384)

            use session =
                new DQ.Core.Training.TrainingSession(
                    new DQ.Core.Training.ContextObjective(head.Spec, training, 0L),
                    training,
                    0L,
                    torch.CPU
                )

            let timing =
                DQ.Core.Measurement.Timing.Measure(torch.CPU, 5, (fun () -> session.Step images |> ignore))

            let peaks = DQ.Core.Measurement.PeakRates.Measure torch.CPU
            // forward, back to the weights, and but for the first layer back to the inputs
            let products =
                16384L * (3L * head.MultiplyAdds - int64 (head.Spec.Inputs * head.Spec.Width))

            let rate = 2.0 * float products / timing.MedianSeconds

            printfn
                "16,384 pixels in %.0f ms: %.1f GFLOP/s, %.0f %% of a matrix product's %.1f, %d threads"
                (1e3 * timing.MedianSeconds)
                (rate / 1e9)
                (100.0 * rate / peaks.MatrixProductFlopsPerSecond)
                (peaks.MatrixProductFlopsPerSecond / 1e9)
                (torch.get_num_threads ())

            Expect.isGreaterThan rate 0.0 "measured"
        }
    ]

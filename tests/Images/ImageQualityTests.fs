module DQ.Tests.Images.ImageQualityTests

open System
open Expecto
open DQ.Core
open DQ.Core.Images
open TorchSharp

let private image seed (shape: int64[]) =
    let mutable random = SplitMix64 seed
    let count = shape |> Array.fold (*) 1L |> int
    torch.tensor(Array.init count (fun _ -> float32 (random.Next 256))).reshape shape

/// SSIM of one plane by its definition, window by window, in double precision.
let private ssimByDefinition (x: float[,]) (y: float[,]) =
    let window size =
        let raw = [|
            for place in 0 .. size - 1 -> exp (-((float place - float (size - 1) / 2.0) ** 2.0) / (2.0 * 1.5 * 1.5))
        |]

        raw |> Array.map (fun weight -> weight / Array.sum raw)

    let largest side =
        min 11 (if side % 2 = 1 then side else side - 1)

    let down, across =
        window (largest (Array2D.length1 x)), window (largest (Array2D.length2 x))

    let at top left =
        let mean f =
            Seq.sum [
                for i in 0 .. down.Length - 1 do
                    for j in 0 .. across.Length - 1 -> down[i] * across[j] * f (top + i) (left + j)
            ]

        let meanX, meanY = mean (fun i j -> x[i, j]), mean (fun i j -> y[i, j])
        let varianceX = mean (fun i j -> (x[i, j] - meanX) ** 2.0)
        let varianceY = mean (fun i j -> (y[i, j] - meanY) ** 2.0)
        let covariance = mean (fun i j -> (x[i, j] - meanX) * (y[i, j] - meanY))
        let c1, c2 = 2.55 ** 2.0, 7.65 ** 2.0

        (2.0 * meanX * meanY + c1) * (2.0 * covariance + c2)
        / ((meanX ** 2.0 + meanY ** 2.0 + c1) * (varianceX + varianceY + c2))

    Seq.average [
        for top in 0 .. Array2D.length1 x - down.Length do
            for left in 0 .. Array2D.length2 x - across.Length -> at top left
    ]

let private plane (tensor: torch.Tensor) batch channel =
    Array2D.init (int tensor.shape[2]) (int tensor.shape[3]) (fun i j ->
        float (tensor[batch, channel, int64 i, int64 j].ToSingle()))

[<Tests>]
let tests =
    testList "Images.ImageQuality" [
        test "PSNR is of the squared error, image by image" {
            use originals = torch.zeros (2L, 3L, 4L, 4L)

            use images =
                torch.tensor([| 5f; 255f |]).reshape(2L, 1L, 1L, 1L).expand(2L, 3L, 4L, 4L)

            let values = ImageQuality.Psnr(images, originals).data<float32>().ToArray()
            Expect.floatClose Accuracy.medium (float values[0]) (20.0 * log10 (255.0 / 5.0)) "an error of 5 everywhere"
            Expect.floatClose Accuracy.medium (float values[1]) 0.0 "the largest error there is"
            Expect.equal (ImageQuality.Psnr(originals, originals).data<float32>()[0L]) 100f "no error"
        }

        for height, width in [ 16L, 13L; 12L, 8L; 1L, 2L ] do
            test $"SSIM of {height}×{width} agrees with its definition" {
                use originals = image 1L [| 2L; 3L; height; width |]
                use images = 0.6 * originals + 0.4 * image 2L [| 2L; 3L; height; width |]
                let values = ImageQuality.Ssim(images, originals).data<float32>().ToArray()

                for batch in 0..1 do
                    let expected =
                        Seq.average [
                            for channel in 0L .. 2L ->
                                ssimByDefinition (plane images batch channel) (plane originals batch channel)
                        ]

                    Expect.floatClose
                        { absolute = 2e-7; relative = 0.0 }
                        (float values[batch])
                        expected
                        $"image {batch}"
            }

        test "SSIM of flat bright images has all its digits" {
            // variances of about 0.2 beside squares of 64,000: their difference in float32 keeps two digits
            let flat seed =
                250.0f + (image seed [| 2L; 1L; 24L; 24L |]) / 255.0f

            use originals = flat 5L
            use images = flat 6L
            let values = ImageQuality.Ssim(images, originals).data<float32>().ToArray()

            for batch in 0..1 do
                Expect.floatClose
                    { absolute = 2e-7; relative = 0.0 }
                    (float values[batch])
                    (ssimByDefinition (plane images batch 0L) (plane originals batch 0L))
                    $"image {batch}"
        }

        test "PSNR of nearly equal images has all its digits" {
            use originals = 200.0f + (image 7L [| 1L; 3L; 16L; 16L |]) / 16.0f
            use images = originals + (image 8L [| 1L; 3L; 16L; 16L |]) / 2048.0f

            let error =
                Seq.zip (images.data<float32>()) (originals.data<float32>())
                |> Seq.averageBy (fun (a, b) -> (float a - float b) ** 2.0)

            Expect.floatClose
                { absolute = 1e-5; relative = 0.0 }
                (float (ImageQuality.Psnr(images, originals).ToSingle()))
                (10.0 * log10 (255.0 * 255.0 / error))
                "dB"
        }

        test "SSIM is 1 for equal images and symmetric" {
            use a = image 3L [| 1L; 1L; 20L; 20L |]
            use b = image 4L [| 1L; 1L; 20L; 20L |]
            Expect.floatClose Accuracy.medium (float (ImageQuality.Ssim(a, a).ToSingle())) 1.0 "equal"

            Expect.floatClose
                Accuracy.medium
                (float (ImageQuality.Ssim(a, b).ToSingle()))
                (float (ImageQuality.Ssim(b, a).ToSingle()))
                "swapped"
        }

        test "other shapes and types are refused" {
            use a = torch.zeros (1L, 1L, 8L, 8L)
            use b = torch.zeros (1L, 3L, 8L, 8L)
            use bytes = a.``to`` torch.ScalarType.Byte

            Expect.throwsC (fun () -> ImageQuality.Ssim(a, b) |> ignore) (fun problem ->
                Expect.stringContains problem.Message "shape (1, 3, 8, 8), got (1, 1, 8, 8)" "message")

            Expect.throwsT<ArgumentException> (fun () -> ImageQuality.Psnr(bytes, bytes) |> ignore) "bytes"
        }
    ]

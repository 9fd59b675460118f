/// DQ's numbers beside those of scikit-image, SciPy and scikit-learn. Inputs and expected values are in Fixtures/peers.json, made by
/// docs/compare/peers.py. Every test prints its largest difference: the table in docs/metrics.md.
module DQ.Tests.PeersTests

open System
open System.IO
open System.Text.Json
open Expecto
open TorchSharp
open DQ.Core.Artifacts
open DQ.Core.Evaluation
open DQ.Core.Images
open DQ.Core.Quantization
open DQ.Tests.Fixtures

let private peers =
    lazy (JsonDocument.Parse(File.ReadAllText(fixture [ "peers.json" ])).RootElement)

let private cases (name: string) = [ for case in peers.Value.GetProperty(name).EnumerateArray() -> case ]

let private number (key: string) (case: JsonElement) = case.GetProperty(key).GetDouble()

let private bytes (key: string) (case: JsonElement) =
    case.GetProperty(key).GetBytesFromBase64()

let private floats (key: string) (case: JsonElement) =
    let packed = bytes key case
    Array.init (packed.Length / 4) (fun place -> BitConverter.ToSingle(packed, 4 * place))

let private integers (key: string) (case: JsonElement) = [|
    for value in case.GetProperty(key).EnumerateArray() -> value.GetInt64()
|]

let private report (what: string) (peer: string) (differences: float list) (tolerance: float) =
    let largest = List.max differences
    printfn $"| {what} | {peer} | {differences.Length} | {largest:E1} |"
    Expect.isLessThan largest tolerance $"{what}, {peer}"

/// Image and original (1, C, H, W) float32.
let private pair (case: JsonElement) =
    let shape = Array.append [| 1L |] (integers "shape" case)
    let original = bytes "original" case |> Array.map float32
    torch.tensor(floats "image" case).view shape, torch.tensor(original).view shape

let private curve (key: string) (case: JsonElement) =
    let axis (place: int) = [
        for value in (case.GetProperty(key)[place]).EnumerateArray() -> value.GetDouble()
    ]

    Seq.map2 (fun rate quality -> struct (rate, quality)) (axis 0) (axis 1)

/// Two codebooks' codes, (1, 2, 1, N).
let private pairOfCodes (case: JsonElement) =
    torch.tensor(Array.append (integers "first" case) (integers "second" case)).view(1L, 2L, 1L, -1L)

let private information (case: JsonElement) =
    let pairs = CodePairs.Create(2, int (number "codes" case)) |> nonNull
    pairs.Add(pairOfCodes case)
    pairs.MutualInformationNats()

[<Tests>]
let tests =
    testSequenced
    <| testList "Peers" [
        test "PSNR, dB" {
            let difference case =
                let image, original = pair case
                abs (float (ImageQuality.Psnr(image, original).ToSingle()) - number "psnr" case)

            report "PSNR, dB" "scikit-image" (cases "images" |> List.map difference) 1e-5
        }

        test "SSIM" {
            let difference case =
                let image, original = pair case
                abs (float (ImageQuality.Ssim(image, original).ToSingle()) - number "ssim" case)

            report "SSIM" "scikit-image" (cases "images" |> List.map difference) 2e-7
        }

        test "BD-rate, %" {
            let difference case =
                abs (
                    BjontegaardRate.Percent(curve "curve" case, curve "anchor" case).Value
                    - number "percent" case
                )

            report "BD-rate, %" "SciPy, pchip" (cases "curves" |> List.map difference) 1e-9
        }

        test "entropy, nats" {
            let difference case =
                let histogram = CodeHistogram(2, int (number "codes" case))
                histogram.Add(pairOfCodes case)
                abs (histogram.EntropyNats 0 - number "entropy" case)

            report "entropy, nats" "SciPy" (cases "codes" |> List.map difference) 1e-12
        }

        test "mutual information, nats" {
            let difference case =
                abs ((information case)[0, 1] - number "mutual_information" case)

            report "mutual information, nats" "scikit-learn, corrected" (cases "codes" |> List.map difference) 1e-12
        }

        test "normalized mutual information" {
            let difference case =
                abs ((CodePairs.Normalized(information case)).[0, 1] - number "normalized" case)

            report
                "normalized mutual information"
                "scikit-learn, corrected"
                (cases "codes" |> List.map difference)
                1e-12
        }

        test "nearest codes" {
            let wrong case =
                let rows (key: string) =
                    torch.tensor(floats key case).view(1L, -1L, 8L)

                let found = NearestCodes.Find(rows "vectors", rows "codes").data<int64>().ToArray()

                Seq.zip found (integers "nearest" case)
                |> Seq.filter (fun (a, b) -> a <> b)
                |> Seq.length
                |> float

            report "nearest codes, wrong" "SciPy, cdist" (cases "nearest" |> List.map wrong) 0.5
        }
    ]

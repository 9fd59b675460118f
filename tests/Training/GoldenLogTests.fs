module DQ.Tests.Training.GoldenLogTests

open System
open System.Globalization
open System.IO
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Images
open DQ.Core.Likelihoods
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Tests.Fixtures
open DQ.Tests.Sessions

// A seeded tiny training, number by number, as it was when the table was written: a change of the mathematics anywhere in a
// step, of the seeds or of the defaults shows here. The table is what this test writes with DQ_GOLDEN=write, made on x86-64
// with libtorch 2.10; other processors round otherwise, hence the tolerance.

let private tolerance = 2e-3

let private pixels step =
    torch
        .tensor(
            [|
                for index in 0..7 do
                    yield! DeadLeaves.Generate(3L, int64 (step * 8 + index), 16)
            |],
            dtype = torch.ScalarType.Byte
        )
        .view(8L, 3L, 16L, 16L)

/// Loss, reconstruction in nats/dim, gradient norm, mean perplexity of the bottom level; one row per step.
let private log kind =
    let spec =
        AutoencoderSpec(
            Channels = 16,
            ResidualChannels = 8,
            CoderBlocks = 1,
            CodeCounts = [| 8; 16 |],
            Codebooks = 3,
            CodeWidth = 4,
            Quantizer = QuantizerSpec(Kind = kind),
            Likelihood = LikelihoodSpec(Kind = "logistic_mixture", Components = 3)
        )

    let training =
        TrainingSpec(Steps = 12L, BatchSize = 8, LearningRate = 1e-3, WarmupSteps = 4L, WeightDecay = 0.01)

    use session = ofAutoencoder (spec, training, 11L, torch.CPU)
    session.InitializeCodebooks [| pixels 0; pixels 1 |]

    [
        for step in 0..11 do
            let report = session.Step(pixels step)

            [
                report.Loss
                report.Reconstruction
                report.GradientNorm
                Array.average report.Levels[0].Perplexity
            ]
    ]

let private stored kind =
    File.ReadAllLines(fixture [ "golden"; $"{kind}.csv" ])
    |> Array.skip 1
    |> Array.map (fun line ->
        line.Split ','
        |> Array.map (fun text -> Double.Parse(text, CultureInfo.InvariantCulture))
        |> List.ofArray)
    |> List.ofArray

let private write kind (rows: float list list) =
    let cell (value: float) =
        value.ToString("G7", CultureInfo.InvariantCulture)

    let lines = rows |> List.map (List.map cell >> String.concat ",")

    File.WriteAllLines(
        fixture [ "golden"; $"{kind}.csv" ],
        "loss,reconstruction_nats_per_dim,gradient_norm,perplexity" :: lines
    )

[<Tests>]
let tests =
    testSequenced
    <| testList "Training.GoldenLog" [
        for kind in [ "depthwise"; "vector" ] do
            test $"a tiny training with {kind} quantization gives the numbers it gave" {
                let rows = log kind

                if Environment.GetEnvironmentVariable "DQ_GOLDEN" = "write" then
                    write kind rows

                let expected = stored kind
                Expect.equal rows.Length expected.Length "steps"

                for step, (row, golden) in List.indexed (List.zip rows expected) do
                    for value, was in List.zip row golden do
                        Expect.isLessThan
                            (abs (value - was) / abs was)
                            tolerance
                            $"step {step + 1}: {row}, was {golden}"
            }
    ]

/// N ranks of B/N images against one process of B images, for all that is trained.
module DQ.Tests.Parallel.RanksTests

open System
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Classification
open DQ.Core.Images
open DQ.Core.Likelihoods
open DQ.Core.Likelihoods.Context
open DQ.Core.Parallel
open DQ.Core.Quantization
open DQ.Core.Training

let private choices = [
    for kind in Quantizers.Names do
        yield kind, QuantizerSpec(Kind = kind)
    yield "depthwise, published revival", QuantizerSpec(Kind = "depthwise", Revival = "published")
    yield "vector, cosine, rotation", QuantizerSpec(Kind = "vector", Metric = "cosine", Gradient = "rotation")
    yield "residual, projected", QuantizerSpec(Kind = "residual", CodeProjection = Nullable 2)
]

let private autoencoder quantizer =
    AutoencoderSpec(
        Channels = 8,
        ResidualChannels = 4,
        // more than are in use: some die in each step
        CodeCounts = [| 64; 16 |],
        Codebooks = 3,
        CodeWidth = 4,
        Quantizer = quantizer,
        Likelihood = LikelihoodSpec(Kind = "logistic_mixture", Components = 2)
    )

let private images = 12

let private training accumulate =
    TrainingSpec(
        Steps = 6L,
        BatchSize = images,
        Accumulate = accumulate,
        LearningRate = 1e-3,
        WeightAverage = 0.9,
        PixelsPerStep = 500
    )

/// The whole batch of a step.
let private batch (step: int) =
    use generator = new torch.Generator(uint64 (step + 1))

    torch.randint (256L, [| int64 images; 3L; 16L; 16L |], dtype = torch.ScalarType.Byte, generator = generator)

let private labels (step: int) = [| for image in 0L .. int64 images - 1L -> (image + int64 step) % 3L |]

/// What a session takes of a step's batch.
let private share (session: TrainingSession) step =
    let places =
        match session.Places with
        | null -> [| 0 .. images - 1 |]
        | places -> places

    let labels = labels step
    use whole = batch step
    use index = torch.tensor (Array.map int64 places)

    new Batch(
        whole.index_select(0L, index).DetachFromDisposeScope(),
        torch.tensor([| for place in places -> labels[place] |]).DetachFromDisposeScope(),
        Nullable images
    )

type private Outcome = {
    Reports: StepReport list
    /// Weights, codebooks and moments by name.
    State: (string * float32[]) list
}

let private floats (tensor: torch.Tensor) =
    tensor.detach().to_type(torch.ScalarType.Float32).contiguous().data<float32>().ToArray()

let private outcomeOf (session: TrainingSession) =
    if not session.CodebooksReady then
        use first = share session 0
        use second = share session 1
        session.InitializeCodebooks [| first.Pixels; second.Pixels |]

    let reports = [
        for step in 0..4 do
            use batch = share session step
            session.Step batch
    ]

    {
        Reports = reports
        State = [
            for KeyValue(name, tensor) in session.Objective.Network.state_dict () -> name, floats tensor
        ]
    }

/// Sessions are made one after the other, since first weights come from libtorch's one generator.
let private trained (make: IRanks -> TrainingSession) (ranks: IRanks list) =
    let sessions = ranks |> List.map (fun rank -> rank, make rank)

    try
        ranks
        |> Threads.together (fun rank -> sessions |> List.find (fst >> (=) rank) |> snd |> outcomeOf)
    finally
        for _, session in sessions do
            session.Dispose()

let private bits (state: (string * float32[]) list) =
    state
    |> List.map (fun (name, values) -> name, values |> Array.map BitConverter.SingleToInt32Bits)

let private isClose what (tolerance: float) (found: float) (expected: float) =
    Expect.isLessThanOrEqual
        (abs (found - expected))
        (tolerance * max 1e-3 (abs expected))
        $"{what}: {found}, {expected}"

let private compare (one: Outcome) (rank: Outcome) =
    for alone, shared in List.zip one.Reports rank.Reports do
        Expect.equal shared.Skipped alone.Skipped "skipped"
        isClose "loss" 1e-5 shared.Loss alone.Loss
        isClose "reconstruction" 1e-5 shared.Reconstruction alone.Reconstruction
        isClose "latent loss" 1e-4 shared.Latent alone.Latent
        isClose "gradient norm" 1e-4 shared.GradientNorm alone.GradientNorm

        for before, now in Seq.zip alone.Levels shared.Levels do
            Expect.sequenceEqual now.Revived before.Revived "revived codes"
            Expect.sequenceEqual (Seq.concat now.Idle) (Seq.concat before.Idle) "idle codes"

            for before, now in Seq.zip before.Perplexity now.Perplexity do
                isClose "perplexity" 1e-9 now before

    for (name, alone), (_, shared) in List.zip one.State rank.State do
        let largest = alone |> Array.map abs |> Array.max |> float
        let apart = Array.map2 (fun (a: float32) b -> abs (float a - float b)) alone shared
        // a step of Adam is 1e-3, also where a gradient is nothing but rounding: the very few such weights don't count
        let most = (Array.sort apart)[int (0.99 * float (apart.Length - 1))]
        Expect.isLessThanOrEqual most (1e-4 * max 1.0 largest) $"{name}: of {largest}"
        Expect.isLessThanOrEqual (Array.average apart) (1e-5 * max 1.0 largest) $"{name}: on average"

let private revived (outcome: Outcome) =
    outcome.Reports |> Seq.collect _.Levels |> Seq.collect _.Revived |> Seq.sum

/// One process and several ranks, which have to be the same to the bit among themselves.
let private areAlike ranks (make: IRanks -> TrainingSession) =
    let one = trained make [ OneProcess.Instance ] |> List.head
    let several = trained make (Threads.ranks ranks)
    compare one several.Head

    for other in several.Tail do
        Expect.isTrue (bits other.State = bits several.Head.State) "all ranks have the same weights"

    one

let private isAlike ranks make = areAlike ranks make |> ignore

let private ofAutoencoder quantizer training ranks =
    new TrainingSession(
        new AutoencoderObjective(autoencoder quantizer, [], 3L, training),
        training,
        3L,
        torch.CPU,
        ranks
    )

[<Tests>]
let tests =
    testSequenced
    <| testList "Parallel.Ranks" [
        for name, quantizer in choices do
            for ranks, accumulate in [ 2, 1; 3, 2; 4, 2 ] do
                test $"{name}: {ranks} ranks, {accumulate} micro-batches" {
                    let one = areAlike ranks (ofAutoencoder quantizer (training accumulate))
                    use level = (autoencoder quantizer).CreateQuantizer 0

                    if level.NeedsInitialization then
                        Expect.isGreaterThan (revived one) 0L "codes were drawn again"
                }

        test "a batch that the ranks don't divide: 12 images on 5" {
            isAlike 5 (ofAutoencoder (QuantizerSpec()) (training 1))
        }

        test "a context head, its pixels shared" {
            for ranks, accumulate in [ 2, 1; 3, 2 ] do
                isAlike ranks (fun ranks ->
                    let training = training accumulate
                    let spec = ContextSpec(Channels = 3, Width = 8, Mixtures = 2)
                    new TrainingSession(new ContextObjective(spec, training, 5L), training, 5L, torch.CPU, ranks))
        }

        test "a classifier with codes of its own and dropout" {
            let spec =
                ClassifierSpec(
                    Classes = 3,
                    Backbone = ClassifierBackbone.ResidualEncoder,
                    Channels = 8,
                    ResidualChannels = 4,
                    Quantized = "grid",
                    Codebooks = 2,
                    CodeCount = 8,
                    CodeWidth = 4,
                    Dropout = 0.5
                )

            isAlike 3 (fun ranks ->
                new TrainingSession(new ClassifierObjective(spec, 4L), training 2, 4L, torch.CPU, ranks))
        }

        test "one rank's numbers that are none skip the step on all" {
            let make ranks =
                ofAutoencoder (QuantizerSpec()) (training 1) ranks

            let sessions = Threads.ranks 2 |> List.map (fun ranks -> ranks, make ranks)

            let reports =
                sessions
                |> List.map fst
                |> Threads.together (fun rank ->
                    let session = sessions |> List.find (fst >> (=) rank) |> snd

                    if rank.Rank = 1 then
                        use _ = torch.no_grad ()
                        session.Objective.Network.state_dict().["decoder.2.bias"].fill_ nan |> ignore

                    use batch = share session 0
                    session.InitializeCodebooks [| batch.Pixels |]
                    session.Step batch)

            for report in reports do
                Expect.isTrue report.Skipped "skipped"

            for _, session in sessions do
                session.Dispose()
        }

        test "batch normalization is refused" {
            let spec = ClassifierSpec(Classes = 3, Backbone = ClassifierBackbone.ResNet18)
            use objective = new ClassifierObjective(spec, 4L)

            Expect.throwsT<ArgumentException>
                (fun () ->
                    (new TrainingSession(objective, training 1, 4L, torch.CPU, List.head (Threads.ranks 2))).Dispose())
                "its means are of one rank's images"
        }

        test "what rank 0 has is what all have afterwards" {
            let sessions =
                Threads.ranks 2
                |> List.map (fun ranks ->
                    let training = training 1

                    ranks,
                    new TrainingSession(
                        new AutoencoderObjective(autoencoder (QuantizerSpec()), [], int64 ranks.Rank, training),
                        training,
                        int64 ranks.Rank,
                        torch.CPU,
                        ranks
                    ))

            let states =
                sessions
                |> List.map fst
                |> Threads.together (fun rank ->
                    let session = sessions |> List.find (fst >> (=) rank) |> snd
                    session.RateFactor <- 0.5 / float (1 + rank.Rank)
                    session.Align()

                    session.Progress,
                    [
                        for entry in session.Objective.Network.state_dict () -> entry.Key, floats entry.Value
                    ])

            Expect.equal (fst states[1]) (fst states[0]) "counters"
            Expect.isTrue (bits (snd states[1]) = bits (snd states[0])) "weights"

            for _, session in sessions do
                session.Dispose()
        }
    ]

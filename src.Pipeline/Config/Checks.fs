/// What values must satisfy beyond their type. Keys are dotted paths of the configuration.
module DQ.Pipeline.Checks

open DQ.Core.Autoencoders

/// The side an image has once padded, or the problem with it when the model does not pad.
let paddedSide (model: AutoencoderSpec) pad side =
    let divisor = model.SideDivisor
    let padded = (side + divisor - 1) / divisor * divisor

    if pad || padded = side then
        Ok padded
    else
        Error
            $"expected a side divisible by {divisor} (stride × 2^(coder_blocks − 1 + levels − 1)), got {side}; pad it to {padded} with --set model.pad=true"

let private known (names: string seq) (value: string) =
    if Seq.contains value names then
        None
    else
        let listed = String.concat ", " names
        Some $"expected one of {listed}, got '{value}'"

let private atLeast bound key (value: int64) =
    if value < bound then
        [ key, $"expected a whole number of at least {bound}, got {value}" ]
    else
        []

let private share key value =
    if value >= 0.0 && value <= 1.0 then
        []
    else
        [ key, $"expected a number in [0, 1], got {value}" ]

let private loop (c: LoopConfig) = [
    yield! atLeast 1L "log_every" c.LogEvery
    yield! atLeast 1L "validate_every" c.ValidateEvery
    yield! atLeast 1L "validation_images" c.ValidationImages
    yield! atLeast 1L "checkpoint_every" c.CheckpointEvery
    yield! atLeast 1L "keep" c.Keep
    yield! atLeast 0L "sample_every" c.SampleEvery
    yield! atLeast 1L "samples" c.Samples
    yield! atLeast 1L "initialization_batches" c.InitializationBatches
    yield! share "collapse_perplexity" c.CollapsePerplexity
    yield! share "revival_burst" c.RevivalBurst
    yield! atLeast 1L "skip_limit" c.SkipLimit
    yield! atLeast 0L "fallbacks" c.Fallbacks
    if not (c.FallbackFactor > 0.0 && c.FallbackFactor < 1.0) then
        "fallback_factor", $"expected a number in (0, 1), got {c.FallbackFactor}"
]

let private evaluation (c: EvaluationConfig) = [
    if c.Splits.Count = 0 then
        "splits", "expected at least one split"
    for index, split in Seq.indexed c.Splits do
        match known [ "train"; "validation"; "test" ] split with
        | Some message -> $"splits[{index}]", message
        | None -> ()
    yield! atLeast 0L "limit" c.Limit
    yield! atLeast 0L "frequency_images" c.FrequencyImages
    yield! atLeast 1L "batch_size" c.BatchSize
    match known [ "last"; "best" ] c.Checkpoint with
    | Some message -> "checkpoint", message
    | None -> ()
    yield! atLeast 0L "samples" c.Samples
    yield! atLeast 0L "extremes" c.Extremes
    yield! atLeast 0L "ablation_images" c.AblationImages
    yield! atLeast 0L "atlas_patches" c.AtlasPatches
]

/// The side the data will have, where that is known before reading it.
let knownSide (c: DataConfig) =
    match c.Source with
    | _ when c.ImageSize.HasValue -> Some c.ImageSize.Value
    | "cifar10" -> Some 32
    | "tiny_imagenet" -> Some 64
    | _ -> None

/// The channels the data will have.
let knownChannels (c: DataConfig) =
    match Option.ofNullable c.ImageChannels with
    | Some channels -> channels
    | None -> if c.Source = "idx" then 1 else 3

/// Everything wrong with a configuration.
let problems (c: RunConfig) : (string * string) list =
    let under prefix problems =
        problems |> List.map (fun (key, message) -> $"{prefix}.{key}", message)

    let specs (problems: DQ.Core.SpecProblem seq) = [ for problem in problems -> problem.Key, problem.Message ]

    let model = specs (c.Model.Problems())

    [
        for problem in DataConfig.problems "" c.Data do
            problem.Key, problem.Message
        yield! under "model" model
        match knownSide c.Data with
        | Some side when model.IsEmpty ->
            match paddedSide c.Model c.Pad side with
            | Error message -> "data.image_size", message
            | Ok _ -> ()
        | _ -> ()
        yield! under "training" (specs (c.Training.Problems()))
        yield! under "training" (loop c.Loop)
        yield! under "evaluation" (evaluation c.Evaluation)
    ]

/// The same without what concerns the data.
let problemsBesideData (c: RunConfig) =
    problems c |> List.filter (fun (key, _) -> not (key.StartsWith "data."))

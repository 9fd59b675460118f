/// Checks of values beyond their types. Keys are dotted paths of the configuration.
module DQ.Pipeline.Configuration.Checks

open DQ.Core.Autoencoders
open DQ.Core.Classification
open DQ.Pipeline

/// An image's width after padding, or the problem if the model does not pad.
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
    yield! atLeast 0L "early_stopping" c.EarlyStopping
    match c.StartFrom, c.ContinueFrom with
    | NonNull start, NonNull before ->
        "continue_from",
        $"expected null beside training.start_from '{start}': a continued run has the weights of its parent, got '{before}'"
    | _ -> ()
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

/// The width of the data's images, if it is known before they are read.
let knownSide (c: DataConfig) =
    match c.Source with
    | _ when c.ImageSize.IsSome -> c.ImageSize
    | SourceKind.Cifar10
    | SourceKind.Cifar100
    | SourceKind.Cifar100Coarse
    | SourceKind.Svhn -> Some 32
    | SourceKind.TinyImageNet -> Some 64
    | SourceKind.DeadLeaves
    | SourceKind.Idx
    | SourceKind.Folder
    | SourceKind.ImageNetDownsampled
    | SourceKind.Numpy
    | SourceKind.Parquet
    | SourceKind.Mix -> None

/// The channels of the data's images.
let knownChannels (c: DataConfig) =
    match c.ImageChannels with
    | Some channels -> channels
    | None -> if c.Source = SourceKind.Idx then 1 else 3

/// The classifier of a configuration; `autoencoder` is the one whose codes are the input of two_stage.
let classifier (c: RunConfig) channels classes (autoencoder: AutoencoderSpec | null) : ClassifierSpec =
    let input =
        match c.Classification.Mode with
        | "two_stage" -> ClassifierInput.Codes
        | "autoencoder_head" -> ClassifierInput.Autoencoder
        | _ -> ClassifierInput.Pixels

    ClassifierSpec(
        Input = input,
        ImageChannels = channels,
        Classes = classes,
        Backbone = c.Classification.Backbone,
        Channels = c.Model.Channels,
        ResidualBlocks = c.Model.ResidualBlocks,
        ResidualChannels = c.Model.ResidualChannels,
        CoderBlocks = c.Model.CoderBlocks,
        Stride = c.Model.Stride,
        Quantized =
            (if input = ClassifierInput.Pixels then
                 c.Classification.Quantized
             else
                 "none"),
        Codebooks = c.Model.Codebooks,
        CodeCount = c.Model.CodeCounts[0],
        CodeWidth = c.Model.CodeWidth,
        Quantizer = c.Model.Quantizer,
        Dropout = c.Classification.Dropout,
        AutoencoderWeight = c.Classification.AutoencoderWeight,
        Autoencoder = autoencoder
    )

/// The problems of a classifier's settings. An autoencoder that is trained too is checked like any other.
let private classification (c: RunConfig) : (string * string) list =
    let mode = c.Classification.Mode

    match known [ "one_stage"; "two_stage"; "autoencoder_head" ] mode with
    | Some message -> [ "classification.mode", message ]
    | None ->
        let ofClassifier key =
            if List.contains key [ "backbone"; "quantized"; "dropout"; "autoencoder_weight" ] then
                $"classification.{key}"
            else
                $"model.{key}"

        [
            if
                c.Model.CodeCounts.Count = 0
                || (mode = "one_stage" && c.Model.CodeCounts.Count > 1)
            then
                "model.codes",
                $"expected one number of codes: one_stage has one level of them, got {c.Model.CodeCounts.Count}"
            else
                for problem in (classifier c 3 2 (AutoencoderSpec())).Problems() do
                    ofClassifier problem.Key, problem.Message
            match mode, c.Classification.Autoencoder with
            | "two_stage", (null | "") ->
                "classification.autoencoder", "expected the run whose codes two_stage sees, got none"
            | "two_stage", _
            | _, null -> ()
            | _, run -> "classification.autoencoder", $"expected null: only two_stage sees a run's codes, got '{run}'"
            if c.Training.Freeze.Count > 0 then
                "training.freeze", "expected an empty list: a classifier is trained as a whole"
        ]

/// The requirements of a prior on other settings.
let private prior (c: RunConfig) : (string * string) list = [
    if Settings.isClassifier c then
        "classification.mode",
        $"expected none: a prior is trained on an autoencoder's codes, got '{c.Classification.Mode}'"
    if c.Training.Freeze.Count > 0 then
        "training.freeze", "expected an empty list: a prior is trained as a whole"
    if c.Training.Precision <> "float32" then
        "training.precision", $"expected float32: a prior learns the codes of evaluation, got '{c.Training.Precision}'"
    match c.Loop.StartFrom, c.Loop.ContinueFrom with
    | NonNull run, _ -> "training.start_from", $"expected null: a prior begins with new weights, got '{run}'"
    | _, NonNull run -> "training.continue_from", $"expected null: a prior begins with new weights, got '{run}'"
    | _ -> ()
]

/// The requirements of a context on other settings.
let private context (c: RunConfig) : (string * string) list = [
    if c.Training.PixelsPerStep < c.Training.BatchSize then
        "training.pixels_per_step",
        $"expected at least one for each of training.batch_size {c.Training.BatchSize} images, got {c.Training.PixelsPerStep}"
    if Settings.isClassifier c then
        "model.likelihood.context", $"expected none: a classifier has none, got {c.Model.Likelihood.Context}"
    elif Settings.isContextAlone c && c.Training.Freeze.Count > 0 then
        "training.freeze", "expected an empty list: a context head is trained as a whole"
]

/// All problems of a configuration.
let problems (c: RunConfig) : (string * string) list =
    let under prefix problems =
        problems |> List.map (fun (key, message) -> $"{prefix}.{key}", message)

    let specs (problems: DQ.Core.SpecProblem seq) = [ for problem in problems -> problem.Key, problem.Message ]

    // a classifier's keys of an autoencoder's model are checked with the autoencoder
    let isAutoencoder =
        not (Settings.isClassifier c) || c.Classification.Mode = "autoencoder_head"

    let model = if isAutoencoder then specs (c.Model.Problems()) else []

    [
        for problem in DataConfig.problems "" c.Data do
            problem.Key, problem.Message
        yield! under "model" model
        match knownSide c.Data with
        | Some side when isAutoencoder && model.IsEmpty ->
            match paddedSide c.Model c.Pad side with
            | Error message -> "data.image_size", message
            | Ok _ -> ()
        | _ -> ()
        if Settings.isClassifier c then
            yield! classification c
        yield!
            under "prior" (specs (DQ.Core.Priors.PriorSpec.Problems(c.Prior.Radius, c.Prior.Embedding, c.Prior.Width)))
        if Settings.isPrior c then
            yield! prior c
        if Settings.hasContext c then
            yield! context c
        yield! under "training" (specs (c.Training.Problems()))
        yield! under "training" (loop c.Loop)
        yield! under "evaluation" (evaluation c.Evaluation)
    ]

/// Images per split of a data set, packed or planned.
type SplitCounts = {
    Train: int
    Validation: int
    Test: int
}

/// The images that a data set lacks for training and evaluation. This is reported before anything is trained.
let missingImages (c: RunConfig) (counts: SplitCounts) : (string * string) list = [
    if counts.Train < c.Training.BatchSize then
        "training.batch_size",
        $"expected at most the {counts.Train} training images there are, got {c.Training.BatchSize}"
    for index, split in Seq.indexed c.Evaluation.Splits do
        match split with
        | "validation" when counts.Validation = 0 ->
            $"evaluation.splits[{index}]",
            $"expected a split with images, validation has none: raise data.validation (now {c.Data.Validation}), or leave the split out of evaluation.splits"
        | "test" when counts.Test = 0 ->
            $"evaluation.splits[{index}]",
            $"expected a split with images, test has none: raise data.test (now {c.Data.Test}), or leave the split out of evaluation.splits"
        | _ -> ()
]

/// Problems by key as an error of the configuration of this name.
let asError name (problems: (string * string) list) : Result<unit, StageError> =
    match problems with
    | [] -> Ok()
    | problems ->
        Error(
            Configuration [
                for key, message in problems ->
                    {
                        File = name
                        Key = key
                        Message = message
                    }
            ]
        )

/// All `problems` except those of the data.
let problemsBesideData (c: RunConfig) =
    problems c |> List.filter (fun (key, _) -> not (key.StartsWith "data."))

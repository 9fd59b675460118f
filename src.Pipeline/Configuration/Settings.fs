namespace DQ.Pipeline.Configuration

open System.Collections.Generic
open DQ.Core.Autoencoders
open DQ.Core.Training
open DQ.Pipeline

/// Settings around the training steps: the pipeline's keys of `training`.
type LoopConfig = {
    /// Steps between two lines of metrics.jsonl.
    LogEvery: int64
    /// Steps between two validations.
    ValidateEvery: int64
    /// Number of images of the validation split for a validation during training, the first ones.
    ValidationImages: int
    /// Steps between two checkpoints; checkpoints are also written at signals and at the end.
    CheckpointEvery: int64
    /// Number of checkpoints to keep, the last ones; the best by validation is kept too. With two, failing training can
    /// go back to one before a bad checkpoint.
    Keep: int
    /// Steps between two pictures of reconstructions; 0 makes none.
    SampleEvery: int64
    /// Number of validation images in those pictures, the first ones.
    Samples: int
    /// Number of training batches for k-means before the first step.
    InitializationBatches: int
    /// A codebook counts as collapsed if its perplexity, as a share of its codes, is below this.
    CollapsePerplexity: float
    /// Share of a codebook's codes revived in one step from which an event is recorded.
    RevivalBurst: float
    /// Skipped steps in a row (NaN, infinite or exploding loss) before going back to the last checkpoint.
    SkipLimit: int
    /// How often training may go back before it ends with an error.
    Fallbacks: int
    /// Factor on the learning rate each time training goes back.
    FallbackFactor: float
    /// Training ends after this many validations in a row that are no better than the best one; 0 trains all steps.
    EarlyStopping: int64
    /// First weights and codebooks: a run, a safetensors file or a PyTorch file. Tensors that fit are copied; steps
    /// count from 0.
    StartFrom: string | null
    /// Run whose training is continued, with its optimizer and its steps; `steps` includes these.
    /// `dq train RUN --steps N` sets it.
    ContinueFrom: string | null
}

/// How a trained model is evaluated: the `evaluation` part of a configuration.
type EvaluationConfig = {
    /// Splits to evaluate: `train`, `validation`, `test`.
    Splits: IReadOnlyList<string>
    /// Maximum number of images per split, the first ones; 0 takes all.
    Limit: int
    /// Number of training images whose codes give the empirical code frequencies, the first ones; 0 takes all.
    FrequencyImages: int
    /// Images per batch.
    BatchSize: int
    /// Checkpoint to evaluate: `last` or `best` (by validation).
    Checkpoint: string
    /// Number of images whose reconstructions and codes are kept, the first of the last split named.
    Samples: int
    /// Number of further images of this split with the worst reconstructions, and with the best.
    Extremes: int
    /// Number of images of this split, the first ones, on which every codebook and level is left out in turn; 0 for
    /// none.
    AblationImages: int
    /// Number of image patches to keep for every code, the nearest ones; 0 makes no atlas.
    AtlasPatches: int
}

/// A classifier in place of an autoencoder: the `classification` part of a configuration.
type ClassificationConfig = {
    /// `none` (an autoencoder is trained), `one_stage` (backbone, quantizer and head together), `two_stage` (on the
    /// codes of a trained autoencoder) or `autoencoder_head` (an autoencoder and a head on its codes, trained
    /// together).
    Mode: string
    /// `resnet18`, `residual_encoder` (with the model's channels, residual blocks and strides), or `none`: codes go to
    /// the head.
    Backbone: string
    /// What one_stage quantizes with the model's quantizer and its single level of codes: `none`, the `pooled` vector
    /// or the `grid`.
    Quantized: string
    /// Share of the head's inputs set to zero in training.
    Dropout: float
    /// Run whose codes are the input of two_stage.
    Autoencoder: string | null
    /// Weight of the autoencoder's own losses beside the cross-entropy in autoencoder_head.
    AutoencoderWeight: float
}

/// A prior over the codes of a trained autoencoder: the `prior` part of a configuration.
type PriorConfig = {
    /// Run whose codes the prior learns; null if the configuration is not for a prior.
    Run: string | null
    /// Number of rows above a position, and of columns on either side, whose codes are read.
    Radius: int
    /// Numbers by which the codes of a position are represented.
    Embedding: int
    /// Width of the hidden layers.
    Width: int
}

/// One run, fully resolved.
type RunConfig = {
    /// Name of the run; the file's own name by default.
    Name: string
    /// Seed of all random choices in training.
    Seed: int64
    Data: DataConfig
    /// The model, without the image's channels, which the data determine.
    Model: AutoencoderSpec
    /// Pads images with zeros to a width and height that the model can halve often enough. Padding counts in no loss
    /// and no metric.
    Pad: bool
    Training: TrainingSpec
    Loop: LoopConfig
    Evaluation: EvaluationConfig
    Classification: ClassificationConfig
    Prior: PriorConfig
}

module Settings =
    /// The defaults of all keys.
    let defaults: RunConfig = {
        Name = "dq"
        Seed = 0L
        Data = {
            Source = SourceKind.DeadLeaves
            Path = null
            ImageSize = None
            ImageChannels = None
            Count = 2000
            Validation = 0.1
            Test = 0.1
            Limit = 0
            Seed = 0L
            MaxCorrupt = 0.01
            MaxPixels = DQ.Core.Images.ImageFile.DefaultMaxPixels
            Flip = false
            Shift = 0
        }
        Model = AutoencoderSpec()
        Pad = false
        Training = TrainingSpec()
        Loop = {
            LogEvery = 10L
            ValidateEvery = 100L
            ValidationImages = 256
            CheckpointEvery = 100L
            Keep = 2
            SampleEvery = 100L
            Samples = 8
            InitializationBatches = 8
            CollapsePerplexity = 0.05
            RevivalBurst = 0.25
            SkipLimit = 10
            Fallbacks = 2
            FallbackFactor = 0.5
            EarlyStopping = 0L
            StartFrom = null
            ContinueFrom = null
        }
        Evaluation = {
            Splits = [| "validation"; "test" |]
            Limit = 0
            FrequencyImages = 0
            BatchSize = 64
            Checkpoint = "last"
            Samples = 16
            Extremes = 8
            AblationImages = 128
            AtlasPatches = 8
        }
        Classification = {
            Mode = "none"
            Backbone = "residual_encoder"
            Quantized = "pooled"
            Dropout = 0.2
            Autoencoder = null
            AutoencoderWeight = 1.0
        }
        Prior = {
            Run = null
            Radius = 2
            Embedding = 32
            Width = 128
        }
    }

    /// Whether the configuration is for a classifier.
    let isClassifier (config: RunConfig) = config.Classification.Mode <> "none"

    /// Whether the configuration is for a prior over codes.
    let isPrior (config: RunConfig) = not (isNull config.Prior.Run)

    /// Whether pixels are conditioned on pixels before them.
    let hasContext (config: RunConfig) = config.Model.Likelihood.HasContext

    /// Whether the model is a context alone, without levels.
    let isContextAlone (config: RunConfig) =
        hasContext config && config.Model.CodeCounts.Count = 0

    /// The keys of `variants` objects: all except `variants` itself.
    let fields (config: RunConfig) : Shape.Field list =
        let section name inner = {
            Shape.field config name with
                Shape = Shape.Section inner
        }

        let model = [
            for field in Shape.fields config.Model do
                match field.Key, field.Shape with
                | "image_channels", _ -> ()
                | "context", Shape.Section inner ->
                    yield {
                        field with
                            Shape =
                                Shape.Section [
                                    for part in inner do
                                        if part.Key <> "channels" then
                                            part
                                ]
                    }
                | _ -> yield field
            yield Shape.field config (nameof config.Pad)
        ]

        [
            Shape.field config (nameof config.Name)
            Shape.field config (nameof config.Seed)
            Shape.field config (nameof config.Data)
            section (nameof config.Model) model
            section (nameof config.Training) (Shape.fields config.Training @ Shape.fields config.Loop)
            Shape.field config (nameof config.Evaluation)
            Shape.field config (nameof config.Classification)
            Shape.field config (nameof config.Prior)
        ]

    /// Every key with its default.
    let allDefaults = Shape.tree (fields defaults)

    /// Keys that are written only where they matter, so that older runs keep their fingerprints.
    let private unused (config: RunConfig) = [
        if not (isClassifier config) then
            "classification"
        if not (isPrior config) then
            "prior"
        if not (hasContext config) then
            "model.context"
            "model.likelihood.context"
            "model.likelihood.auxiliary_weight"
            "training.pixels_per_step"
        if config.Training.SecondMoment = TrainingSpec().SecondMoment then
            "training.second_moment"
    ]

    /// The whole configuration as a tree with every key; those of a classifier, a prior or a context only if there is
    /// one.
    let toTree (config: RunConfig) =
        (Shape.tree (fields config), unused config)
        ||> List.fold (fun tree key -> ConfigTree.without key tree)

    /// Keys whose value is one of a few names.
    let choices: (string * string list) list = [
        "model.wiring", [ "concatenation"; "skip" ]
        "model.quantizer.kind", List.ofSeq DQ.Core.Quantization.Quantizers.Names
        "model.quantizer.initialization", [ "kmeans"; "normal" ]
        "model.quantizer.revival", [ "usage"; "published"; "none" ]
        "model.quantizer.metric", List.ofSeq DQ.Core.Quantization.CodeMetric.Names
        "model.quantizer.gradient", List.ofSeq DQ.Core.Quantization.GradientEstimator.Names
        "model.likelihood.kind", List.ofSeq DQ.Core.Likelihoods.LikelihoodSpec.Names
        "model.likelihood.context", List.ofSeq DQ.Core.Likelihoods.LikelihoodSpec.Contexts
        "training.schedule", [ "constant"; "cosine" ]
        "training.precision", List.ofSeq DQ.Core.Training.NumberFormats.Names
        "evaluation.checkpoint", [ "last"; "best" ]
        "classification.mode", [ "none"; "one_stage"; "two_stage"; "autoencoder_head" ]
        "classification.backbone", List.ofSeq DQ.Core.Classification.ClassifierBackbone.Names
        "classification.quantized", [ "none"; "pooled"; "grid" ]
    ]

    /// The least value of keys that have one, for editors; each item's, of a list. Values are checked by `Checks`, and a test
    /// compares the two.
    let minima: (string * float) list = [
        "data.image_size", 1.0
        "data.count", 1.0
        "data.validation", 0.0
        "data.test", 0.0
        "data.limit", 0.0
        "data.max_corrupt", 0.0
        "data.max_pixels", 1.0
        "data.shift", 0.0
        "model.channels", 2.0
        "model.residual_blocks", 0.0
        "model.residual_channels", 1.0
        "model.coder_blocks", 1.0
        "model.codes", 1.0
        "model.codebooks", 1.0
        "model.code_width", 1.0
        "model.quantizer.commitment", 0.0
        "model.quantizer.decay", 0.0
        "model.quantizer.decay_warmup", 1.0
        "model.quantizer.revival_threshold", 0.0
        "training.steps", 1.0
        "training.batch_size", 1.0
        "training.accumulate", 1.0
        "training.final_learning_rate", 0.0
        "training.warmup_steps", 0.0
        "training.weight_decay", 0.0
        "training.clip_norm", 0.0
        "training.log_every", 1.0
        "training.validate_every", 1.0
        "training.validation_images", 1.0
        "training.checkpoint_every", 1.0
        "training.keep", 1.0
        "training.sample_every", 0.0
        "training.samples", 1.0
        "training.initialization_batches", 1.0
        "training.collapse_perplexity", 0.0
        "training.revival_burst", 0.0
        "training.skip_limit", 1.0
        "training.fallbacks", 0.0
        "evaluation.limit", 0.0
        "evaluation.frequency_images", 0.0
        "evaluation.batch_size", 1.0
        "evaluation.samples", 0.0
        "evaluation.extremes", 0.0
        "evaluation.ablation_images", 0.0
        "evaluation.atlas_patches", 0.0
        "prior.radius", 1.0
        "prior.embedding", 1.0
        "prior.width", 1.0
    ]

    /// Keys whose values are above 0.
    let positive: string list = [ "training.learning_rate"; "model.quantizer.epsilon" ]

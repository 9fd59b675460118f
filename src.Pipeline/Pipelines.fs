/// All pipelines of DQ as values. Commands read their settings, fold one of these values and print.
module DQ.Pipeline.Pipelines

open DQ.Core.Artifacts
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Allocation
open DQ.Pipeline.Data
open DQ.Pipeline.Progressive

/// The packed images of a configuration.
let packed (data: DataConfig) : Stage<unit, Dataset> = Prepare.stage data

/// Imports weights as a run.
let imported v file source notes : Stage<unit, Import.ImportedRun> = Import.stage v file source notes

/// Images of a run if it has its own, else those of a configuration.
let images (own: Parent option) (data: DataConfig) : Stage<unit, Dataset> =
    match own with
    | Some parent -> Prepare.ofRun parent
    | None -> Prepare.reused data

/// Trains a model on these images: an autoencoder, or a classifier if the configuration is for one.
let modelOn (images: Stage<unit, Dataset>) (v: Variant) : Stage<unit, Train.TrainedRun> =
    images
    >=> if Settings.isClassifier v.Config then
            Classify.stage v
        else
            Train.stage v

/// The same on the images of its configuration.
let model (v: Variant) = modelOn (packed v.Config.Data) v

let private kind (v: Variant) =
    if Settings.isClassifier v.Config then
        RunKind.Classify
    else
        RunKind.Train

/// Trains and evaluates a model.
let evaluatedOn images (v: Variant) : Stage<unit, Evaluate.EvaluatedRun> =
    modelOn images v >=> Evaluate.stage (kind v) (Train.title v) v.Config.Evaluation

/// The same on the images of its configuration.
let evaluated (v: Variant) = evaluatedOn (packed v.Config.Data) v

/// Evaluates an existing run, on its own images or others.
let evaluation folder (run: RunRecord) own data (config: EvaluationConfig) : Stage<unit, Evaluate.EvaluatedRun> =
    images own data
    >=> (Evaluate.stage run.Kind run.Id config
         |> Stage.onPart (Evaluations.subjectName run) (Evaluations.subject folder run))

/// Trains one model at growing image sizes, and another at the last size alone.
let progressive (chain: Chain.Chain) : Stage<unit, ChainStages.EvaluatedChain> =
    ChainStages.images chain >=> ChainStages.train chain

/// Estimates how well quantizers alone describe a network's features.
let density own (subject: Density.DensitySubject) : Stage<unit, Density.EstimatedRun> =
    images own subject.Data >=> Density.stage subject

/// Trains and evaluates a prior over an autoencoder's codes.
let prior own (subject: Prior.PriorSubject) : Stage<unit, Prior.PriorRun> =
    images own subject.Variant.Config.Data >=> Prior.stage subject

/// The table of the intervals of a network's channels.
let intervals own (subject: CutNetwork.Subject) : Stage<unit, Intervals.IntervalRun> =
    images own subject.Data >=> Intervals.stage subject

/// Bits for a network's channels, with a table that is computed or named in the configuration.
let allocation own (subject: CutNetwork.Subject) (table: Stage<Dataset, string>) : Stage<unit, Allocate.AllocatedRun> =
    images own subject.Data
    >=> Stage.both Stage.input table
    >=> Allocate.stage subject

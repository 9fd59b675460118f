/// Imports weights as a run, which commands accept like a trained run.
module DQ.Pipeline.Stages.Import

open System
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Published
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open FsToolkit.ErrorHandling

type ImportedRun = { Folder: string; Record: RunRecord }

/// Raised when the same input gives another output than before.
let private version = 1

/// The checkpoint, with the optimizer's state if the file has it.
let private write folder (seed: int64) (source: WeightsSource) (model: HierarchicalAutoencoder) =
    use optimizer = new AdamOptimizer(model.named_parameters ())

    let moments: AdamOptimizer | null =
        if source.Fill(optimizer, model) then optimizer else null

    let progress =
        TrainingProgress(seed, source.Steps, 0L, true, 1.0, optimizer.Updates)

    Checkpoints.add folder (fun path -> Checkpoint.Write(path, model, moments, progress)) {
        LoopState.start model.Spec.Levels model.Spec.Codebooks with
            Step = source.Steps
    }

let private filled (variant: Variant) (source: WeightsSource) =
    let model =
        new HierarchicalAutoencoder(variant.Config.Model.ForImages(Checks.knownChannels variant.Config.Data))

    source.Fill model
    model

/// The run of these weights with this configuration; `notes` list what was left out or is read differently.
let stage (variant: Variant) (file: string) (source: WeightsSource) (notes: string list) : Stage<unit, ImportedRun> =
    let title = Train.title variant

    // if a file has several sets of weights, each set is a separate import
    let content (standing: Standing) =
        match source.Key with
        | null -> standing.Hashes.Sha256 file
        | key -> Fingerprint.ofParts [ standing.Hashes.Sha256 file; key ]

    let stage =
        StoredStage.ofRun {
            Name = $"import {title}"
            Description = {
                Train.describe RunKind.Import variant with
                    Steps = source.Steps
                    Notes = [
                        yield! notes
                        match source.Key with
                        | null -> ()
                        | key -> $"the weights under '{key}'"
                    ]
            }
            Version = version
            DependsOn = fun standing _ -> [ variant.Variant; Config.canonical variant.Config; content standing ]
            Parents = fun standing _ -> [ Parent("file", nonNull (Path.GetFileName file), content standing) ]
            Begin =
                fun _ _ _ ->
                    // weights that do not fit leave no run
                    (filled variant source).Dispose()

                    Ok(fun run ->
                        use model = filled variant source
                        run.Guarded(fun () -> write run.Folder variant.Config.Seed source model)
                        run.Save(_.Imported(model.ParameterCount, source.Steps))
                        Ok())
            Damage = fun folder record -> Checkpoints.damage folder record.StepsDone
            Read = fun _ folder record -> Ok { Folder = folder; Record = record }
        }

    // nothing is computed, so no device is needed
    {
        stage with
            Run = fun context -> stage.Run { context with Device = "cpu" }
    }

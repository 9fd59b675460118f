/// Packs the configured images as a data set, and checks it.
module DQ.Pipeline.Stages.Prepare

open System.IO
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling

let private name (config: DataConfig) =
    match config.Path with
    | NonNull path when config.Source = SourceKind.Folder ->
        Path.GetFileNameWithoutExtension(Path.TrimEndingDirectorySeparator path)
        |> string
    | _ -> config.Source.Name

let private folderOf (store: Store) name (fingerprint: string) =
    Path.Combine(store.Root, RunLayout.Datasets, $"{name}-{fingerprint[..11]}")

let private artifact (dataset: Dataset) : Artifact<Dataset> = {
    Fingerprint = Fingerprint.Of dataset.Record.Fingerprint
    Value = dataset
}

/// The finished data set of a folder, unless it has to be packed again.
let private find (standing: Standing) folder =
    if not standing.Force && Directory.Exists folder then
        Dataset.check standing.Hashes folder |> Result.map Some
    else
        Ok None

/// The known properties of the data set before it is packed, which are computed once.
let foresee (standing: Standing) (config: DataConfig) : Result<Ingest.Foreseen, StageError> =
    match standing.Sources.TryGetValue config with
    | true, known -> Ok known
    | _ ->
        Ingest.foresee standing.Hashes config
        |> Result.map (fun foreseen -> standing.Sources.GetOrAdd(config, foreseen))

let private plan (config: DataConfig) (standing: Standing) =
    result {
        let! foreseen = foresee standing config
        let fingerprint = foreseen.Fingerprint
        let folder = folderOf standing.Store (name config) fingerprint
        let! finished = find standing folder
        let id = string (Path.GetFileName folder)

        return {
            Fingerprint = Fingerprint.Of fingerprint
            Steps = [
                {
                    Stage = "ingest"
                    Action = if finished.IsSome then Action.Reuse else Action.Make
                    Why = if finished.IsSome then id else $"no data set {id}"
                }
            ]
            Finished = finished |> Option.map artifact
        }
    }

let private run (config: DataConfig) (context: StageContext) =
    let hashes = context.Standing.Hashes

    let make () =
        result {
            let! foreseen = foresee context.Standing config
            let folder = folderOf context.Store (name config) foreseen.Fingerprint

            match! find context.Standing folder with
            | Some dataset ->
                context.Note "ingest: done before, reused"
                return artifact dataset
            | None ->
                let progress finished total =
                    context.Progress(Report.counted $"ingest {name config}" "images" (int64 finished) (int64 total))

                let! record =
                    Ingest.run hashes config (name config) folder progress context.Cancellation

                for corrupt in record.CorruptImages do
                    context.Note $"{corrupt.Name}: left out: {corrupt.Problem}"

                for note in record.Notes do
                    context.Note note

                let! dataset = Dataset.check hashes folder
                return artifact dataset
        }

    Stage.inBackground context (fun () ->
        Stage.lead context make _.Value.Folder (Dataset.check hashes >> Result.map artifact))

/// The images of a configuration.
let stage (config: DataConfig) : Stage<unit, Dataset> = {
    Name = "ingest"
    Plan = fun standing _ -> plan config standing
    Run = fun context _ -> run config context
}

/// The same, but packed images are reused even with --force.
let reused (config: DataConfig) : Stage<unit, Dataset> =
    let keeping (standing: Standing) = { standing with Force = false }

    {
        Name = "ingest"
        Plan = fun standing _ -> plan config (keeping standing)
        Run =
            fun context _ ->
                run config {
                    context with
                        Standing = keeping context.Standing
                }
    }

/// The data set of a run.
let ofRun (parent: Parent) : Stage<unit, Dataset> =
    Stage.lookup "ingest" (fun standing ->
        Path.Combine(standing.Store.Root, RunLayout.Datasets, parent.Id)
        |> Dataset.check standing.Hashes
        |> Result.map artifact)

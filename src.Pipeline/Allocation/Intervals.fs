/// Computes the table of the channels' intervals from a network's layer and calibration images.
module DQ.Pipeline.Allocation.Intervals

open System.IO
open DQ.Core.Artifacts
open DQ.Core.BitAllocation
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open DQ.Pipeline.Data
open DQ.Pipeline.Allocation.CutNetwork
open FsToolkit.ErrorHandling

type IntervalRun = {
    Folder: string
    Record: RunRecord
    /// The table's file.
    Table: string
}

/// Raised when the same input gives another output than before.
let private version = 1

/// What the table depends on.
let private keys = [
    "network"
    "weights"
    "run"
    "layer"
    "quantizer"
    "log_base"
    "calibration_images"
]

let private description (subject: Subject) =
    AllocationRun.describe RunKind.Intervals $"{subject.Name}-intervals" subject keys (IntervalTable.MaxBits + 1)

let private work (context: StageContext) (subject: Subject) device (dataset: Dataset) (file: RunFile) =
    result {
        use! images = Dataset.open' dataset
        use! cut = CutNetwork.openCut subject device
        use! features = CutNetwork.calibration context subject images cut

        let table =
            IntervalSearch.Run(
                features,
                CutNetwork.quantizer subject.Config,
                CutNetwork.intervalSubject subject (CutNetwork.parent context.Standing.Hashes subject.Source),
                context.Cancellation
            )

        file.Guarded(fun () -> table.Write(file.Path RunLayout.Intervals))
    }

/// The table of a network's channels, on the data set's training images.
let stage (subject: Subject) : Stage<Dataset, IntervalRun> =
    let description = description subject

    let network (standing: Standing) =
        CutNetwork.parent standing.Hashes subject.Source

    StoredStage.ofRun {
        Name = "intervals"
        Description = description
        Version = version
        DependsOn = fun standing parts -> AllocationRun.dependsOn description (network standing) parts
        Parents = fun standing dataset -> [ network standing; Train.datasetParent dataset ]
        Begin = fun context device dataset -> Ok(work context subject device dataset)
        Damage = fun _ _ -> None
        Read =
            fun _ folder record ->
                Ok {
                    Folder = folder
                    Record = record
                    Table = Path.Combine(folder, RunLayout.Intervals)
                }
    }

/// The table's file alone; it is made if it is missing.
let table (subject: Subject) : Stage<Dataset, string> = stage subject |> Stage.map _.Table

/// The file of an existing table.
let made (subject: Subject) : Stage<Dataset, string> =
    let missing (standing: Standing) =
        Data
            $"{Store.runs standing.Store}: expected the interval table of these settings, found none; dq allocate … --table makes it"

    Stage.whenFinished missing (table subject)

/// The file that the configuration names.
let ofFile (file: string) : Stage<Dataset, string> =
    Stage.lookup "intervals" (fun standing ->
        Ok {
            Fingerprint = Fingerprint.Of(standing.Hashes.Sha256 file)
            Value = file
        })

/// From a network's layer and calibration images to the table of its channels' intervals.
module DQ.Pipeline.Allocation.Intervals

open System.IO
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.BitAllocation
open DQ.Pipeline
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

let private title (subject: Subject) = $"{subject.Name}-intervals"

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

let private plan (subject: Subject) : AllocationRun.Plan =
    let title = title subject
    let settings = AllocationRun.settings title subject keys

    let parents = [
        CutNetwork.parent subject.Source
        Parent("dataset", nonNull (Path.GetFileName subject.Dataset.Folder), subject.Dataset.Record.Fingerprint)
    ]

    {
        Stage = "intervals"
        Title = title
        Subject = subject
        Fingerprint = AllocationRun.fingerprint "intervals" version settings parents
        Settings = settings
        Parents = parents
        Steps = IntervalTable.MaxBits + 1
    }

let private found folder record =
    Ok {
        Folder = folder
        Record = record
        Table = Path.Combine(folder, RunLayout.Intervals)
    }

let private work (context: StageContext) (plan: AllocationRun.Plan) device folder (held: RunLock) =
    result {
        let subject = plan.Subject
        use! cut = CutNetwork.openCut subject device
        use! features = CutNetwork.calibration context subject cut

        let table =
            IntervalSearch.Run(
                features,
                CutNetwork.quantizer subject.Config,
                CutNetwork.intervalSubject subject plan.Parents.Head,
                context.Cancellation
            )

        held.Guarded(fun () -> table.Write(Path.Combine(folder, RunLayout.Intervals)))
    }

let stage: Stage<Subject, IntervalRun> = {
    Name = "intervals"
    Fingerprint = fun subject -> Ok (plan subject).Fingerprint
    Find = fun context fingerprint subject -> AllocationRun.tryFind context (title subject) fingerprint found
    Run =
        fun context _ subject ->
            Task.Run(fun () ->
                result {
                    let! device = Train.device context.Device
                    let plan = plan subject

                    return!
                        AllocationRun.execute context plan found (fun folder held _ ->
                            work context plan device folder held)
                })
}

/// The lines of events.jsonl about steps; CodebookWatch makes those about codebooks.
module DQ.Pipeline.Training.Events

open System
open DQ.Core.Artifacts
open DQ.Core.Training
open DQ.Pipeline

let skipped (report: StepReport) =
    let what =
        if report.CrossEntropy.HasValue then
            "reconstruction + latent + cross-entropy"
        else
            "reconstruction + latent"

    let reason =
        if Double.IsFinite report.Loss && Double.IsFinite report.GradientNorm then
            $"{what} {report.Size:G5}, usually {report.UsualLoss.GetValueOrDefault():G5}"
        else
            $"loss {report.Loss}, gradient norm {report.GradientNorm}"

    EventRecord(Kind = "step_skipped", Step = report.Step, Message = $"{reason}: nothing was learned in this step")

let validationNotFinite step (measured: float) =
    EventRecord(
        Kind = "validation_not_finite",
        Step = step,
        Message = $"validation loss {measured}: this model is not kept as the best"
    )

let fellBack step (skipLimit: int) (goodStep: int64) (rateFactor: float) =
    EventRecord(
        Kind = "fell_back",
        Step = step,
        Message =
            $"{skipLimit} steps in a row were skipped: back to step {goodStep} with the learning rate times {rateFactor}"
    )

let stoppedEarly step (best: int64) (validations: int64) =
    EventRecord(
        Kind = "stopped_early",
        Step = step,
        Message = $"stopped early: none of the last {validations} validations was better than that of step {best}"
    )

/// A run can't continue from its latest checkpoint. It continues from `step`, or begins again if this is 0.
let checkpointDamaged (step: int64) (problem: string) =
    EventRecord(
        Kind = "checkpoint_damaged",
        Step = step,
        Message =
            if step > 0L then
                $"{problem}; going on from the checkpoint of step {step}, to the same end"
            else
                $"{problem}; no checkpoint is whole: training begins again"
    )

let private described (progress: TrainingProgress) =
    let ranks =
        if progress.Ranks.HasValue then
            $" in {progress.Ranks} processes"
        else
            ""

    $"{progress.Device} with {progress.Threads} threads{ranks}"

/// A run continues with another device or number of threads than at the checkpoint.
let resumedElsewhere step (before: TrainingProgress) (now: TrainingProgress) =
    if
        isNull before.Device
        || (before.Device, before.Threads, before.Ranks) = (now.Device, now.Threads, now.Ranks)
    then
        None
    else
        Some(
            EventRecord(
                Kind = "resumed_elsewhere",
                Step = step,
                Message =
                    $"on {described now}, before on {described before}: from here on numbers differ in rounding from those of an undisturbed run"
            )
        )

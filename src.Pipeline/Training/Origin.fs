/// The origin of the first weights if they are not new: `training.start_from` and `training.continue_from`.
namespace DQ.Pipeline.Training

open System
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Published
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open FsToolkit.ErrorHandling

[<RequireQualifiedAccess>]
type Origin =
    | New
    /// Weights of a file; `Content` is its hash.
    | Weights of file: string * content: string
    /// The last weights of a run.
    | WeightsOf of folder: string * RunRecord
    /// The last checkpoint of a run, with its optimizer, counters and logs.
    | Continued of folder: string * RunRecord

module Origin =
    /// Changes with the content of a run: a later checkpoint is another origin.
    let private state (record: RunRecord) =
        Fingerprint.ofParts [ record.Fingerprint; string record.StepsDone ]

    let private trained key (folder: string, record: RunRecord) =
        match record.Trained with
        | null ->
            Error(
                Data
                    $"{folder}: expected a run that trained a model (training.{key}), found one of stage {record.Kind.Name()}"
            )
        | _ when (RunLock.LivingOwner folder).IsSome ->
            Error(Busy $"{folder}: is being worked on; training can begin with it (training.{key}) when that has ended")
        | _ -> Ok(folder, record)

    /// Looks up the origin that a configuration names.
    let find (standing: Standing) (config: RunConfig) : Result<Origin, StageError> =
        match Option.ofObj config.Loop.StartFrom, Option.ofObj config.Loop.ContinueFrom with
        | Some file, _ when File.Exists file -> Ok(Origin.Weights(file, standing.Hashes.Sha256 file))
        | Some name, _ ->
            Store.find standing.Store ignore name
            |> Result.mapError (fun error ->
                let problem = StageError.lines error |> String.concat "; "
                Data $"training.start_from: expected a file of weights or a run, got '{name}': {problem}")
            |> Result.bind (trained "start_from")
            |> Result.map Origin.WeightsOf
        | None, Some id ->
            result {
                let! folder, record =
                    Store.find standing.Store ignore id |> Result.bind (trained "continue_from")

                if config.Training.Steps <= record.StepsDone then
                    return!
                        Error(
                            Configuration [
                                {
                                    File = config.Name
                                    Key = "training.steps"
                                    Message =
                                        $"expected more than the {record.StepsDone} steps that {record.Id} has done, got {config.Training.Steps}"
                                }
                            ]
                        )

                return Origin.Continued(folder, record)
            }
        | None, None -> Ok Origin.New

    /// Its part of a run's fingerprint: the content, not the name.
    let fingerprint origin =
        match origin with
        | Origin.New -> []
        | Origin.Weights(_, content) -> [ "start"; content ]
        | Origin.WeightsOf(_, record) -> [ "start"; state record ]
        | Origin.Continued(_, record) -> [ "continue"; state record ]

    /// Number of steps that another run did before.
    let stepsDone origin =
        match origin with
        | Origin.Continued(_, record) -> record.StepsDone
        | _ -> 0L

    let parents origin =
        match origin with
        | Origin.New -> []
        | Origin.Weights(file, content) -> [ Parent("file", nonNull (Path.GetFileName file), content) ]
        | Origin.WeightsOf(_, record)
        | Origin.Continued(_, record) -> [ Parent("run", record.Id, state record) ]

    /// Copies existing weights into a new model; returns one line about the tensors that fit.
    let fill origin (objective: IObjective) : Result<string option, StageError> =
        match origin with
        | Origin.New
        | Origin.Continued _ -> Ok None
        | Origin.Weights(file, _) -> Ok(Some $"starts from {file}: {StartingWeights.Take(file, objective)}")
        | Origin.WeightsOf(folder, record) ->
            Checkpoints.choose folder "last"
            |> Result.map (fun file ->
                Some $"starts from {record.Id} at step {record.StepsDone}: {StartingWeights.Take(file, objective)}")

    /// Describes the learning rate at the step where a run continues.
    let private rates (config: RunConfig) (before: RunConfig) (step: int64) =
        let was = LearningRate.At(before.Training, max 0L (step - 1L))
        let now = LearningRate.At(config.Training, step)
        let last = LearningRate.At(config.Training, config.Training.Steps - 1L)

        let change =
            if was = now then
                $"the learning rate stays at {now:G4}"
            else
                $"the learning rate was {was:G4} and is {now:G4} now"

        let ends = if last = now then "" else $", {last:G4} at the last step"

        $"{change}{ends}: the {config.Training.Schedule} schedule of {config.Training.Steps} steps, taken up at step {step}"

    /// Copies a run's last checkpoint and logs into the folder of the run that continues it, unless that has its own
    /// checkpoint. The checkpoint's state is written last.
    let adopt (context: StageContext) title (config: RunConfig) origin (file: RunFile) : Result<unit, StageError> =
        match origin, Checkpoints.newestWhole file.Folder with
        | Origin.Continued(folder, record), (None, _) ->
            result {
                let! state =
                    match Checkpoints.newestWhole folder with
                    | Some state, _ when state.Step = record.StepsDone -> Ok state
                    | _, problem :: _ -> Error(Data problem)
                    | _ ->
                        Error(
                            Data
                                $"{folder}: expected the checkpoint of step {record.StepsDone} to go on from, found none"
                        )

                if not (Checkpoints.hasOptimizer folder state.Step) then
                    return!
                        Error(
                            Data
                                $"{folder}: holds no optimizer state, so that its training can't go on; training.start_from={record.Id} takes its weights"
                        )

                file.Guarded(fun () ->
                    Checkpoints.dropAfter file.Folder -1L

                    for log in [ RunLayout.Metrics; RunLayout.Events ] do
                        let source = Path.Combine(folder, log)

                        if File.Exists source then
                            File.Copy(source, file.Path log, overwrite = true)

                    Checkpoints.copy folder state file.Folder)

                let line =
                    $"goes on from {record.Id}: {rates config (Config.ofTree record.Config) state.Step}"

                context.Note $"{title}: {line}"
                file.Save(_.Noted(line))
            }
        | _ -> Ok()

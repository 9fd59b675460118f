/// Planned steps as commands show them.
module DQ.Pipeline.Commands.PlannedSteps

open DQ.Pipeline
open DQ.Pipeline.Host

/// An action in tables.
let private action step =
    match step.Action with
    | Action.Reuse -> "reused"
    | Action.Continue -> "continued"
    | Action.Make -> "new"

/// Steps as a table.
let table (steps: PlannedStep list) =
    Table.render Table.Left [ for step in steps -> [ "  " + step.Stage; action step; step.Why ] ]

/// Steps for machines.
let data (steps: PlannedStep list) =
    steps
    |> List.map (fun step -> {|
        Stage = step.Stage
        Action = action step
        Why = step.Why
    |})

/// What a pipeline would do, as a command's result.
let show (place: Workplace) (stage: Stage<unit, 'o>) : Result<unit, StageError> =
    Stage.plan (Standing.asOfNow place.Standing) stage
    |> Result.map (fun planned -> place.Output.Result(table planned.Steps, {| Stages = data planned.Steps |}))

/// `dq progressive`: one model trained at growing image sizes, and beside it, where asked for, training at the last size alone.
module DQ.Pipeline.Commands.Progressive

open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Host
open DQ.Pipeline.Numbers
open DQ.Pipeline.Progressive
open DQ.Pipeline.Progressive.Chain
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string
    | Plan
    | [<Unique>] Max_Minutes of MINUTES: float
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file with a progressive object (JSON with comments)."
            | Set _ ->
                "KEY=VALUE, which replaces a value of the configuration, such as progressive.stages.large.steps=500; may be given several times."
            | Plan -> "only say what would be done, and what it would cost."
            | Max_Minutes _ -> "save and stop after this many minutes, with exit code 0; the same command continues."
            | Force -> "train all phases again."

let example =
    "dq progressive configs/tiny-imagenet-progressive.json --set data.path=tiny-imagenet-200"

let private length (phase: Phase) =
    match phase.Length with
    | Steps steps -> $"{steps} steps"
    | Epochs epochs -> $"""{number "G4" epochs} epochs"""

/// What the phases cost, once their images are packed.
let private costs standing (chain: Chain) =
    result {
        let! images = Stage.plan standing (ChainStages.images chain)

        return!
            images.Finished
            |> Option.traverseResult (fun datasets ->
                ChainStages.ready chain (datasets.Value |> List.map _.Value)
                |> Result.map (fun ready -> ready.Phases @ Option.toList ready.Scratch))
    }

/// What the command would do, and what that costs.
let plan (place: Workplace) (chain: Chain) =
    result {
        let standing = Standing.asOfNow place.Standing
        let! _ = Workplace.loadTorch place
        let! planned = Stage.plan standing (Pipelines.progressive chain)
        let! costs = costs standing chain

        match costs with
        | None ->
            let rows = [
                for phase in chain.Phases do
                    let size = phase.Config.Data.ImageSize.Value
                    [ phase.Name; $"{size}×{size}"; length phase ]
            ]

            place.Output.Result(
                Table.render Table.Left rows + "\n" + PlannedSteps.table planned.Steps,
                {|
                    Phases = [
                        for phase in chain.Phases ->
                            {|
                                Phase = phase.Name
                                Length = length phase
                            |}
                    ]
                    Stages = PlannedSteps.data planned.Steps
                |}
            )
        | Some phases ->
            let rows = [
                for ready in phases do
                    let config = ready.Variant.Config
                    let size = config.Data.ImageSize.Value

                    [
                        ready.Variant.Variant
                        $"{size}×{size}"
                        $"{config.Training.Steps} × {config.Training.BatchSize} images"
                        $"{scientific (ChainStages.trainingMultiplyAdds ready)} multiply-adds"
                    ]
            ]

            let data = {|
                Phases = [
                    for ready in phases ->
                        {|
                            Phase = ready.Variant.Variant
                            ImageSize = ready.Variant.Config.Data.ImageSize.Value
                            Steps = ready.Variant.Config.Training.Steps
                            BatchSize = ready.Variant.Config.Training.BatchSize
                            ForwardMultiplyAddsPerImage = ready.ForwardMultiplyAdds
                            TrainingMultiplyAdds = ChainStages.trainingMultiplyAdds ready
                        |}
                ]
                Stages = PlannedSteps.data planned.Steps
            |}

            place.Output.Result(Table.render Table.Left rows + "\n" + PlannedSteps.table planned.Steps, data)
    }

/// A table of the phases with the last point of each.
let private phases (chain: ChainRecord) =
    let last (stage: ChainStageRecord) =
        match Seq.tryLast stage.Points with
        | None -> [ "–"; "–" ]
        | Some point when point.ReconstructionNatsPerDim.HasValue -> [
            number "F4" point.ReconstructionNatsPerDim.Value
            number "F4" point.ReconstructionBitsPerDim.Value
          ]
        | Some point when point.ReconstructionSquaredError.HasValue -> [
            $"""squared error {number "F5" point.ReconstructionSquaredError.Value}"""
            "–"
          ]
        | Some _ -> [ "not finite"; "–" ]

    Table.render Table.Right [
        [
            ""
            "size"
            "steps"
            "images"
            "multiply-adds"
            "training, s"
            $"nats/dim at {chain.ImageSize}"
            "bits/dim"
        ]
        for stage in Seq.append chain.Stages (Option.toList (Option.ofObj chain.Scratch)) do
            [
                stage.Name
                string stage.ImageSize
                string stage.Steps
                string (stage.Steps * int64 stage.BatchSize)
                scientific stage.TrainingMultiplyAdds
                number "F0" stage.TrainingSeconds
                yield! last stage
            ]
    ]

let private show (place: Workplace) (outcome: ChainStages.EvaluatedChain) =
    let chain = outcome.Chain
    let curve = Path.Combine(chain.Folder, RunLayout.ChainCurve)

    place.Output.Result(
        phases chain.Record
        + $"\n(reconstruction on the first {chain.Record.ValidationImages} validation images; both curves: {curve})\n\n"
        + Summary.table outcome.Evaluated
        + "\n"
        + Summary.places outcome.Evaluated,
        {|
            Folder = chain.Folder
            Chain = chain.Record
            Runs = (Summary.data outcome.Evaluated).Runs
        |}
    )

/// The same of a configuration file.
let planOf (place: Workplace) file assignments : Result<unit, StageError> =
    Chain.load file assignments |> Result.bind (plan place)

let run (place: Workplace) (arguments: ParseResults<Arguments>) : Task<Result<unit, StageError>> =
    task {
        match Chain.load (arguments.GetResult Config) (arguments.GetResults Set) with
        | Error error -> return Error error
        | Ok chain when arguments.Contains Plan -> return plan place chain
        | Ok chain ->
            return!
                Command.inContext place (arguments.Contains Force) (fun context ->
                    Stage.run context (Pipelines.progressive chain))
                |> Command.finish (show place)
    }

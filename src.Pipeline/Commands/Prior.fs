/// `dq prior`: a prior over a run's codes, and what they cost under it.
module DQ.Pipeline.Commands.Prior

open System.IO
open System.Text.Json.Nodes
open Argu
open DQ.Core.Artifacts
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Pipeline.Stages.Prior
open DQ.Pipeline.Host
open DQ.Pipeline.Numbers
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Source of RUN: string
    | Set of ASSIGNMENT: string
    | [<Unique>] Max_Minutes of MINUTES: float
    | Plan
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Source _ -> "the run whose codes are to be learned; or a configuration file whose prior.run names it."
            | Set _ -> "KEY=VALUE, such as training.steps=4000 or prior.width=256; may be given several times."
            | Max_Minutes _ -> "save and stop after this many minutes, with exit code 0; the same command continues."
            | Plan -> "only say what would be done."
            | Force -> "do finished work again."

let example =
    "dq prior cifar10-small-dq\n"
    + "  dq prior configs/prior-cifar10.json --set prior.run=cifar10-small-dq"

/// What differs from other trainings where nothing else is said.
let private defaults =
    """{ "training": { "steps": 2000, "batch_size": 64, "learning_rate": 2e-3, "schedule": "cosine", "warmup_steps": 100,
                       "weight_decay": 0, "second_moment": 0.99, "clip_norm": 1, "sample_every": 0 },
         "evaluation": { "splits": ["validation", "test"] } }"""

/// The autoencoder's own settings that a prior has too.
let private inherited (record: RunRecord) =
    let title = StoredStage.titleOf record.Name record.Variant
    let tree = (nonNull (JsonNode.Parse defaults)).AsObject()
    tree["name"] <- JsonValue.Create $"prior-{title}"

    for key in [ "data"; "model" ] do
        tree[key] <- (nonNull record.Config[key]).DeepClone()

    tree

let private layer file (tree: JsonObject) : ConfigTree.Layer = {
    File = file
    Prefix = ""
    Tree = tree
}

/// Those of a configuration file if the source is one; otherwise a layer with the run's name.
let private layers (source: string) (sets: string list) =
    if Path.Exists source || Path.GetExtension source = ".json" then
        Config.layers source sets
    else
        let part = JsonObject()
        part["run"] <- JsonValue.Create source
        let tree = JsonObject()
        tree["prior"] <- part

        Config.assignments sets
        |> Result.map (fun sets -> layer source tree :: sets)
        |> Result.mapError Configuration

let private namedRun source (layers: ConfigTree.Layer list) =
    layers
    |> List.choose (fun layer -> ConfigTree.find "prior.run" layer.Tree)
    |> List.tryLast
    |> Option.bind Option.ofObj
    |> function
        | Some(:? JsonValue as value) ->
            match value.TryGetValue<string>() with
            | true, NonNull id -> Ok id
            | _ -> Error(Usage $"{source}: prior.run: expected the name of a run, got {value.ToJsonString()}")
        | _ -> Error(Usage $"{source}: expected the run whose codes are learned: --set prior.run=RUN")

/// The subject, and the autoencoder's own images unless others are named.
let private subject (place: Workplace) (source: string) (sets: string list) =
    result {
        let! layers = layers source sets
        let! id = namedRun source layers
        let! folder, record = Command.runNamed place id

        if
            not (List.contains record.Kind [ RunKind.Train; RunKind.Import ])
            || record.Status <> RunStatus.Completed
        then
            return!
                Error(
                    Data
                        $"{folder}: expected a completed run of an autoencoder (prior.run), found one of dq {record.Kind.Name()}, {Store.status folder record}"
                )

        let! checkpoint = Checkpoints.choose folder "last"

        if CheckpointFile.KindOf checkpoint <> Checkpoint.KindName then
            return!
                Error(Data $"{record.Id}: expected an autoencoder with codes (prior.run), found a model without levels")

        let own = Command.ownDataset record layers

        let check =
            if own.IsSome then
                Checks.problemsBesideData
            else
                Checks.problems

        let! variants =
            Config.ofLayersChecked check source (layer record.Id (inherited record) :: layers)

        match variants with
        | [ variant ] ->
            return
                own,
                {
                    Variant = variant
                    Autoencoder = record
                    Checkpoint = checkpoint
                }
        | several -> return! Error(Usage $"{source}: expected one prior, got {several.Length} variants")
    }

/// What the command would do.
let plan (place: Workplace) source sets : Result<unit, StageError> =
    result {
        let! own, subject = subject place source sets
        return! PlannedSteps.show place (Pipelines.prior own subject)
    }

let private levelRows (split: SplitPrior) = [
    for level in split.Levels do
        let mean (bits: CodebookPrior -> float) =
            number "F3" (level.Codebooks |> Seq.averageBy bits)

        [
            $"level {level.Level}, bits a code"
            mean _.UniformBitsPerCode
            mean _.StaticBitsPerCode
            mean _.NetworkBitsPerCode
            mean _.NetworkFloatBitsPerCode
        ]
]

let private text (run: PriorRun) =
    String.concat "\n" [
        for name, split in Seq.map (|KeyValue|) run.Prior.Splits do
            let dims = float split.DimensionsPerImage

            let row label (scale: float) format =
                label
                :: [
                    for rate in
                        [
                            split.CodeRateUniformBitsPerDim
                            split.CodeRateStaticBitsPerDim
                            split.CodeRateNetworkBitsPerDim
                            split.CodeRateNetworkFloatBitsPerDim
                        ] -> number format (scale * rate)
                ]

            Table.render Table.Right [
                [
                    $"{name}, {split.Images} images"
                    "uniform"
                    "static"
                    "network"
                    "as floats"
                ]
                yield! levelRows split
                row "code rate, bits/dim" 1.0 "F4"
                row "code rate, bits/image" dims "F1"
            ]
    ]

let private show (place: Workplace) (run: PriorRun) =
    let head =
        $"{run.Prior.Parameters} parameters, {run.Prior.Step} steps, codes of {run.Prior.Autoencoder}\n"

    place.Output.Result(
        head + text run + Path.Combine(run.Folder, RunLayout.Prior) + "\n",
        {|
            Run = run.Record.Id
            Folder = run.Folder
            Prior = run.Prior
        |}
    )

/// A prior is trained by one process.
let private alone (team: Team) : Result<unit, StageError> =
    if team.IsAlone then
        Ok()
    else
        team.Concur(
            Usage $"dq prior: expected one process, got {team.Ranks.Count} ranks; start it without the launcher"
        )

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    taskResult {
        do! alone place.Team
        let source, sets = arguments.GetResult Source, arguments.GetResults Set

        if arguments.Contains Plan then
            return! plan place source sets
        else
            let! own, subject = subject place source sets

            return!
                Command.inContext place (arguments.Contains Force) (fun context ->
                    Stage.run context (Pipelines.prior own subject))
                |> Command.finish (show place)
    }

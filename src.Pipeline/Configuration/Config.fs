namespace DQ.Pipeline.Configuration

open System.IO
open System.Text.Json
open System.Text.Json.Nodes
open DQ.Core.Autoencoders
open DQ.Core.Training
open DQ.Pipeline

/// One run of a configuration. The name is empty if the configuration has no variants.
type Variant = { Variant: string; Config: RunConfig }

/// Makes typed, checked configurations from files and `--set`.
module Config =
    let private defaults = Settings.fields Settings.defaults
    let private allKeys = Shape.keys defaults

    let private read<'T> (node: JsonNode | null) : 'T =
        match JsonSerializer.Deserialize<'T>(node, Shape.serializer) with
        | null -> invalidOp "the tree was not checked"
        | value -> value

    /// The typed form of a tree that passed `Shape.check`, or of a run's record. Keys that did not exist then have
    /// their defaults.
    let ofTree (tree: JsonObject) : RunConfig =
        let tree = ConfigTree.mergeObjects Settings.allDefaults tree
        let model = nonNull tree["model"]

        {
            Name = read tree["name"]
            Seed = read tree["seed"]
            Data = read tree["data"]
            Model = read<AutoencoderSpec> model
            Pad = read model["pad"]
            Training = read<TrainingSpec> tree["training"]
            Loop = read tree["training"]
            Evaluation = read tree["evaluation"]
            Classification = read tree["classification"]
            Prior = read tree["prior"]
        }

    /// The same configuration always gives the same text.
    let canonical (config: RunConfig) =
        ConfigTree.canonical (Settings.toTree config)

    let private problem file (key, message) : ConfigProblem = {
        File = file
        Key = key
        Message = message
    }

    /// The variants that a layer names, each with its tree; null removes a variant.
    let private variantsOf (layer: ConfigTree.Layer) : (string * JsonNode option) list =
        match layer.Tree["variants"] with
        | :? JsonObject as variants -> [ for pair in variants -> pair.Key, Option.ofObj pair.Value ]
        | _ -> []

    /// The settings of a layer for every run, without the keys that define the runs.
    let private shared (layer: ConfigTree.Layer) =
        let tree = layer.Tree.DeepClone().AsObject()

        for key in [ "variants"; "sweep"; "progressive"; "allocation" ] do
            tree.Remove key |> ignore

        { layer with Tree = tree }

    /// Unknown keys and wrong types of one layer and its variants.
    let private shapeProblems (layer: ConfigTree.Layer) =
        let check prefix tree =
            Shape.check allKeys defaults tree
            |> List.map (fun (key, message) -> problem layer.File (prefix + key, message))

        [
            yield! check layer.Prefix (shared layer).Tree
            match layer.Tree["variants"] with
            | null
            | :? JsonObject -> ()
            | _ -> problem layer.File ("variants", "expected an object of named variants")
            for name, tree in variantsOf layer do
                match tree with
                | Some(:? JsonObject as tree) -> yield! check $"variants.{name}." tree
                | Some _ -> problem layer.File ($"variants.{name}", "expected an object { … } or null")
                | None -> ()
        ]

    let private resolve check file (layers: ConfigTree.Layer list) : Result<RunConfig, ConfigProblem list> =
        let tree =
            layers
            |> List.fold (fun tree layer -> ConfigTree.mergeObjects tree layer.Tree) Settings.allDefaults

        let config = ofTree tree

        match check config with
        | [] -> Ok config
        | problems ->
            Error [
                for key, message in problems do
                    let file, key = ConfigTree.origin file layers key
                    problem file (key, message)
            ]

    let private resolveAll
        check
        (file: string)
        (layers: ConfigTree.Layer list)
        : Result<Variant list, ConfigProblem list> =
        let named = JsonObject()
        named["name"] <- JsonValue.Create(Path.GetFileNameWithoutExtension file)

        let start: ConfigTree.Layer = {
            File = file
            Prefix = ""
            Tree = named
        }

        // assignments go over what variants of files say
        let assigned, ofFiles = layers |> List.partition ConfigTree.isAssignment
        let under = start :: List.map shared ofFiles

        let mentions =
            ([], layers)
            ||> List.fold (fun before layer ->
                match ConfigTree.find "variants" layer.Tree with
                | Some null -> [] // none of those that other layers name
                | _ -> before @ [ for name, tree in variantsOf layer -> layer, name, tree ])

        let kept name =
            mentions
            |> List.findBack (fun (_, other, _) -> other = name)
            |> fun (_, _, tree) -> tree.IsSome

        let names =
            mentions
            |> List.map (fun (_, name, _) -> name)
            |> List.distinct
            |> List.filter kept

        let variantOf name (layer: ConfigTree.Layer) : ConfigTree.Layer list = [
            for other, tree in variantsOf layer do
                match tree with
                | Some(:? JsonObject as tree) when other = name -> {
                    layer with
                        Prefix = $"variants.{name}."
                        Tree = tree
                  }
                | _ -> ()
        ]

        let layersOf name = [
            yield! under
            yield! ofFiles |> List.collect (variantOf name)
            for set in assigned do
                shared set
                yield! variantOf name set
        ]

        // a name that no file has is a slip, where files have variants
        let ofFilesNames = [
            for layer in ofFiles do
                yield! variantsOf layer |> List.map fst
        ]

        let strangers = [
            for layer in assigned do
                for name, _ in variantsOf layer do
                    if not ofFilesNames.IsEmpty && not (List.contains name ofFilesNames) then
                        let known = String.concat ", " (List.distinct ofFilesNames)
                        problem layer.File ($"variants.{name}", $"expected one of the file's variants: {known}")
        ]

        let resolved =
            match names with
            | [] -> [ "", resolve check file (under @ List.map shared assigned) ]
            | names -> [ for name in names -> name, resolve check file (layersOf name) ]

        match
            strangers
            @ (resolved
               |> List.collect (fun (_, result) ->
                   match result with
                   | Error p -> p
                   | Ok _ -> []))
        with
        | [] ->
            Ok [
                for name, result in resolved do
                    match result with
                    | Ok config -> { Variant = name; Config = config }
                    | Error _ -> ()
            ]
        | problems -> Error(List.distinct problems)

    /// A layer without these keys.
    let private without (problems: ConfigProblem list) (layer: ConfigTree.Layer) = {
        layer with
            Tree =
                (layer.Tree, problems)
                ||> List.fold (fun tree problem -> ConfigTree.without problem.Key[layer.Prefix.Length ..] tree)
    }

    /// The variants, in the order in which the layers name them. All problems at once: wrong keys and types, and wrong
    /// values. `check` returns the problems of one variant's values, by key.
    let ofLayersChecked
        (check: RunConfig -> (string * string) list)
        (file: string)
        (layers: ConfigTree.Layer list)
        : Result<Variant list, StageError> =
        let misshapen = layers |> List.collect shapeProblems

        let isMisshapen (problem: ConfigProblem) =
            misshapen
            |> List.exists (fun other -> (problem.Key + ".").StartsWith((other.Key.Split '[')[0] + "."))

        let sound = layers |> List.map (fun layer -> without (shapeProblems layer) layer)

        match misshapen, resolveAll check file sound with
        | [], Ok variants -> Ok variants
        | _, Ok _ -> Error(Configuration misshapen)
        | _, Error values -> Error(Configuration(misshapen @ List.filter (isMisshapen >> not) values))

    /// The same with all checks.
    let ofLayers file layers =
        ofLayersChecked Checks.problems file layers

    /// The texts of `--set` as layers; all problems at once.
    let assignments (texts: string list) : Result<ConfigTree.Layer list, ConfigProblem list> =
        let sets = texts |> List.map ConfigTree.assignment

        match
            sets
            |> List.choose (function
                | Error problem -> Some problem
                | Ok _ -> None)
        with
        | [] -> Ok(List.choose Result.toOption sets)
        | wrong -> Error wrong

    /// The layers of a configuration file with its `--set` assignments over them.
    let layers (file: string) (texts: string list) : Result<ConfigTree.Layer list, StageError> =
        match ConfigTree.layers file, assignments texts with
        | Ok layers, Ok sets -> Ok(layers @ sets)
        | Ok _, Error wrong -> Error(Configuration wrong)
        | Error problem, Ok _ -> Error(Configuration [ problem ])
        | Error problem, Error wrong -> Error(Configuration(problem :: wrong))

    /// Whether the last layer that sets a key gives it a value other than null.
    let asksFor (key: string) (layers: ConfigTree.Layer list) =
        layers
        |> List.choose (fun layer -> ConfigTree.find key layer.Tree)
        |> List.tryLast
        |> Option.exists (fun node -> not (isNull node))

    /// Whether the layers describe a prior: they name its run, or a file describes one without naming any.
    let asksForPrior (layers: ConfigTree.Layer list) =
        match layers |> List.choose (fun layer -> ConfigTree.find "prior.run" layer.Tree) with
        | [] -> layers |> List.filter (ConfigTree.isAssignment >> not) |> asksFor "prior"
        | _ -> asksFor "prior.run" layers

    /// A configuration file with its `--set` assignments over it.
    let load (file: string) (texts: string list) : Result<Variant list, StageError> =
        layers file texts
        |> Result.bind (fun layers ->
            if asksFor "sweep" layers then
                Error(Usage $"{file}: has a sweep, which dq sweep runs; --set sweep=null leaves it out")
            elif asksFor "progressive" layers then
                Error(
                    Usage
                        $"{file}: has a chain of stages, which dq progressive runs; --set progressive=null leaves it out"
                )
            elif asksFor "allocation" layers then
                Error(Usage $"{file}: has an allocation, which dq allocate makes; --set allocation=null leaves it out")
            elif asksForPrior layers then
                Error(Usage $"{file}: has a prior, which dq prior trains; --set prior.run=null leaves it out")
            else
                ofLayers file layers
                |> Result.bind (fun variants ->
                    if variants |> List.exists (fun variant -> Settings.isClassifier variant.Config) then
                        Error(
                            Usage
                                $"{file}: has a classifier, which dq classify trains; --set classification.mode=none leaves it out"
                        )
                    else
                        Ok variants))

    /// A configuration file of classifiers.
    let loadClassifiers (file: string) (texts: string list) : Result<Variant list, StageError> =
        layers file texts
        |> Result.bind (fun layers ->
            if asksFor "sweep" layers then
                Error(Usage $"{file}: has a sweep, which dq sweep runs; --set sweep=null leaves it out")
            else
                ofLayers file layers)
        |> Result.bind (fun variants ->
            match
                variants
                |> List.tryFind (fun variant -> not (Settings.isClassifier variant.Config))
            with
            | None -> Ok variants
            | Some variant ->
                Error(
                    Configuration [
                        problem
                            file
                            ("classification.mode",
                             $"expected a classifier in every variant, got none {variant.Variant}")
                    ]
                ))

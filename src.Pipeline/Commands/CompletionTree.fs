/// What can stand where on the command line, read from the unions that parse it.
module DQ.Pipeline.Commands.CompletionTree

open System
open Argu
open DQ.Pipeline.Configuration
open DQ.Pipeline.Data

/// What completes a value.
[<RequireQualifiedAccess>]
type Value =
    | Nothing
    | Files
    | Folders
    /// Ids of the artifacts folder.
    | Runs
    | OneOf of string list

type Flag = {
    /// `--output`, `-o`.
    Names: string list
    Usage: string
    /// None for a switch.
    Value: Value option
}

/// A command: `dq`, `dq runs`, `dq runs list`.
type Node = {
    /// With those before it.
    Path: string
    Name: string
    Usage: string
    Flags: Flag list
    /// What stands without a flag.
    Free: Value
    Children: Node list
}

/// Dotted keys of a configuration, for `--set`.
let private settings =
    let rec leaves prefix (fields: Shape.Field list) = [
        for field in fields do
            match field.Shape with
            | Shape.Section inner -> yield! leaves $"{prefix}{field.Key}." inner
            | _ -> $"{prefix}{field.Key}="
    ]

    leaves "" (Settings.fields Settings.defaults)

/// By the name a value has in the help.
let private valueOf (name: string) =
    match name with
    | "CONFIG"
    | "FILE"
    | "IMAGE"
    | "INI" -> Value.Files
    | "DIR" -> Value.Folders
    | "RUN" -> Value.Runs
    | "ASSIGNMENT" -> Value.OneOf settings
    | "SHELL" -> Value.OneOf [ "bash"; "zsh"; "fish"; "powershell" ]
    | "STATUS" -> Value.OneOf [ "running"; "completed"; "failed"; "interrupted" ]
    | "KIND" -> Value.OneOf [ "train"; "classify"; "import"; "density"; "intervals"; "allocate"; "prior" ]
    | "SPLIT" -> Value.OneOf [ for split in Split.all -> Split.name split ]
    | "CHECKPOINT" -> Value.OneOf [ "last"; "best" ]
    | _ -> Value.Nothing

let private valueOfCase (case: ArgumentCaseInfo) =
    match List.ofArray (case.UnionCaseInfo.GetFields()) with
    | [] -> None
    | field :: _ -> Some(valueOf (field.Name.ToUpperInvariant()))

let private flagOf (case: ArgumentCaseInfo) = {
    Names = case.CommandLineNames.Value
    Usage = case.Description.Value
    Value = valueOfCase case
}

let private help = {
    Names = [ "--help" ]
    Usage = "display this list of options."
    Value = None
}

/// The tree of a program's commands.
let ofParser (name: string) (parser: ArgumentParser) : Node =
    let rec node path name usage inherited (parser: ArgumentParser) =
        let cases = parser.GetArgumentCases()

        let flags = [
            for case in cases do
                if case.ArgumentType <> ArgumentType.SubCommand && not case.IsMainCommand then
                    flagOf case
        ]

        let passedOn = [
            for case, flag in
                List.zip
                    (cases
                     |> List.filter (fun case -> case.ArgumentType <> ArgumentType.SubCommand && not case.IsMainCommand))
                    flags do
                if case.UnionCaseInfo.GetCustomAttributes(typeof<InheritAttribute>).Length > 0 then
                    flag
        ]

        {
            Path = path
            Name = name
            Usage = usage
            Flags = flags @ inherited @ [ help ]
            Free =
                cases
                |> List.tryFind _.IsMainCommand
                |> Option.bind valueOfCase
                |> Option.defaultValue Value.Nothing
            Children = [
                for child in parser.GetSubCommandParsers() do
                    match child.ParentInfo with
                    | Some case ->
                        let name = List.head case.CommandLineNames.Value
                        node $"{path} {name}" name case.Description.Value (inherited @ passedOn) child
                    | None -> ()

                // those without arguments have no parser
                for case in cases do
                    if case.ArgumentType = ArgumentType.SubCommand && (valueOfCase case).IsNone then
                        let name = List.head case.CommandLineNames.Value

                        {
                            Path = $"{path} {name}"
                            Name = name
                            Usage = case.Description.Value
                            Flags = inherited @ passedOn @ [ help ]
                            Free = Value.Nothing
                            Children = []
                        }
            ]
        }

    node name name "" [] parser

/// All commands, the program first.
let rec all (node: Node) : Node list = node :: List.collect all node.Children

/// A usage's first sentence, for lists.
let brief (usage: string) =
    let first = (usage.Split([| ": "; "; "; " (" |], StringSplitOptions.None)[0]).Trim()
    first.TrimEnd '.'

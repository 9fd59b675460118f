/// `dq completion`: what a shell needs to complete commands, options, settings and runs.
module DQ.Pipeline.Commands.Completion

open System.Threading.Tasks
open Argu
open DQ.Pipeline
open DQ.Pipeline.Commands.CompletionTree
open DQ.Pipeline.Host

type Arguments =
    | [<MainCommand; ExactlyOnce>] Shell of SHELL: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Shell _ -> "bash, zsh, fish or powershell."

let example =
    "dq completion bash > ~/.local/share/bash-completion/completions/dq\n"
    + "  dq completion zsh > ~/.zfunc/_dq        # a folder of $fpath, before compinit\n"
    + "  dq completion fish > ~/.config/fish/completions/dq.fish\n"
    + "  dq completion powershell >> $PROFILE"

let private lines (texts: string list) =
    texts |> List.map (fun line -> line + "\n") |> String.concat ""

/// In single quotes, as bash, zsh and fish read them.
let private quoted (text: string) = "'" + text.Replace("'", "'\\''") + "'"

let private words (texts: string list) = String.concat " " texts

/// `case` patterns of a command's place, and of each flag that takes a value.
let private places (nodes: Node list) = [
    for node in nodes do
        for child in node.Children do
            $"\"{node.Path} {child.Name}\"", child.Path
]

let private valued (nodes: Node list) = [
    for node in nodes do
        for flag in node.Flags do
            match flag.Value with
            | Some value ->
                let patterns = flag.Names |> List.map (fun name -> $"\"{node.Path} {name}\"")
                String.concat "|" patterns, value
            | None -> ()
]

let private names (node: Node) =
    [ for child in node.Children -> child.Name ]
    @ (node.Flags |> List.collect _.Names)

let private bash (root: Node) =
    let nodes = all root

    let complete value =
        match value with
        | Value.Nothing -> "return"
        | Value.Files -> "COMPREPLY=($(compgen -f -- \"$word\")); return"
        | Value.Folders -> "COMPREPLY=($(compgen -d -- \"$word\")); return"
        | Value.Runs -> "COMPREPLY=($(compgen -W \"$(_dq_runs)\" -- \"$word\")); return"
        | Value.OneOf texts -> $"COMPREPLY=($(compgen -W {quoted (words texts)} -- \"$word\")); return"

    lines [
        "# bash completion of dq; made by: dq completion bash"
        "_dq_runs() {"
        "  local folder=\"${DQ_ARTIFACTS:-artifacts}/runs\""
        "  [ -d \"$folder\" ] && command ls -- \"$folder\""
        "}"
        "_dq() {"
        "  local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\" node=dq index"
        "  COMPREPLY=()"
        "  for ((index = 1; index < COMP_CWORD; index++)); do"
        "    case \"$node ${COMP_WORDS[index]}\" in"
        for pattern, path in places nodes do
            $"      {pattern}) node={quoted path} ;;"
        "    esac"
        "  done"
        "  case \"$node $before\" in"
        for pattern, value in valued nodes do
            $"    {pattern}) {complete value} ;;"
        "  esac"
        "  case \"$node\" in"
        for node in nodes do
            $"    {quoted node.Path})"
            $"      [[ $word == -* || {if node.Children.IsEmpty then 0 else 1} == 1 ]] && {{ COMPREPLY=($(compgen -W {quoted (words (names node))} -- \"$word\")); return; }}"
            $"      {complete node.Free} ;;"
        "  esac"
        "}"
        // where nothing is known, names of files
        "complete -o default -o nosort -F _dq dq"
    ]

let private zsh (root: Node) =
    let nodes = all root

    let complete value =
        match value with
        | Value.Nothing -> "_files; return"
        | Value.Files -> "_files; return"
        | Value.Folders -> "_files -/; return"
        | Value.Runs -> "compadd -- $(_dq_runs); return"
        | Value.OneOf texts when texts |> List.exists _.EndsWith("=") ->
            $"compadd -S '' -- {words (texts |> List.map quoted)}; return"
        | Value.OneOf texts -> $"compadd -- {words texts}; return"

    let described (name: string, usage: string) =
        quoted (name.Replace(":", "\\:") + ":" + brief usage)

    lines [
        "#compdef dq"
        "# zsh completion of dq; made by: dq completion zsh"
        "_dq_runs() {"
        "  local folder=\"${DQ_ARTIFACTS:-artifacts}/runs\""
        "  [ -d \"$folder\" ] && command ls -- \"$folder\""
        "}"
        "_dq() {"
        "  local before=${words[CURRENT-1]} node=dq index"
        "  local -a commands flags"
        "  for ((index = 2; index < CURRENT; index++)); do"
        "    case \"$node ${words[index]}\" in"
        for pattern, path in places nodes do
            $"      {pattern}) node={quoted path} ;;"
        "    esac"
        "  done"
        "  case \"$node $before\" in"
        for pattern, value in valued nodes do
            $"    {pattern}) {complete value} ;;"
        "  esac"
        "  case \"$node\" in"
        for node in nodes do
            let commands = [ for child in node.Children -> described (child.Name, child.Usage) ]

            let flags = [
                for flag in node.Flags do
                    for name in flag.Names do
                        described (name, flag.Usage)
            ]

            $"    {quoted node.Path})"
            $"      commands=({words commands}); flags=({words flags})"
            "      [[ ${words[CURRENT]} == -* ]] && { _describe option flags; return }"

            if node.Children.IsEmpty then
                $"      {complete node.Free} ;;"
            else
                "      _describe command commands; return ;;"
        "  esac"
        "}"
        "[ \"$funcstack[1]\" = _dq ] && _dq \"$@\" || compdef _dq dq"
    ]

let private fish (root: Node) =
    let nodes = all root

    let complete value =
        match value with
        | Value.Nothing -> "-x"
        | Value.Files -> "-rF"
        | Value.Folders -> "-x -a '(__fish_complete_directories)'"
        | Value.Runs -> "-x -a '(__dq_runs)'"
        | Value.OneOf texts -> $"-x -a {quoted (words texts)}"

    lines [
        "# fish completion of dq; made by: dq completion fish"
        "function __dq_runs"
        "    set -l folder artifacts"
        "    set -q DQ_ARTIFACTS; and set folder $DQ_ARTIFACTS"
        "    test -d $folder/runs; and command ls -- $folder/runs"
        "end"
        "function __dq_at"
        "    set -l node dq"
        "    for word in (commandline -opc)[2..-1]"
        "        switch \"$node $word\""
        for pattern, path in places nodes do
            let place = quoted (pattern.Trim '"')
            $"            case {place}"
            $"                set node {quoted path}"
        "        end"
        "    end"
        "    test \"$node\" = \"$argv[1]\""
        "end"
        "complete -c dq -f"
        for node in nodes do
            let at = $"complete -c dq -n \"__dq_at '{node.Path}'\""

            for child in node.Children do
                $"{at} -a {quoted child.Name} -d {quoted (brief child.Usage)}"

            for flag in node.Flags do
                let names = [
                    for name in flag.Names ->
                        if name.StartsWith "--" then
                            $"-l {name[2..]}"
                        else
                            $"-s {name[1..]}"
                ]

                let value = flag.Value |> Option.map (complete >> (+) " ") |> Option.defaultValue ""

                $"{at} {words names}{value} -d {quoted (brief flag.Usage)}"

            match node.Free with
            | Value.Nothing -> ()
            | Value.Files -> $"{at} -F"
            | free ->
                let candidates = (complete free).Replace("-x ", "")
                $"{at} {candidates}"
    ]

let private powershell (root: Node) =
    let literal (text: string) = "'" + text.Replace("'", "''") + "'"

    let list texts =
        "@(" + String.concat ", " (texts |> List.map literal) + ")"

    let nodes = all root

    let values = [
        for node in nodes do
            for flag in node.Flags do
                match flag.Value with
                | Some(Value.OneOf texts) ->
                    for name in flag.Names do
                        $"{node.Path} {name}", list texts
                | Some Value.Runs ->
                    for name in flag.Names do
                        $"{node.Path} {name}", "$runs"
                | _ -> ()
    ]

    lines [
        "# PowerShell completion of dq; made by: dq completion powershell"
        "Register-ArgumentCompleter -Native -CommandName dq -ScriptBlock {"
        "    param($word, $tree, $position)"
        "    $folder = if ($env:DQ_ARTIFACTS) { $env:DQ_ARTIFACTS } else { 'artifacts' }"
        "    $runs = @(Get-ChildItem -Directory -Name -ErrorAction SilentlyContinue (Join-Path $folder 'runs'))"
        "    $names = @{"
        for node in nodes do
            $"        {literal node.Path} = {list (names node)}"
        "    }"
        "    $free = @{"
        for node in nodes do
            match node.Free with
            | Value.Runs -> $"        {literal node.Path} = $runs"
            | Value.OneOf texts -> $"        {literal node.Path} = {list texts}"
            | _ -> ()
        "    }"
        "    $values = @{"
        for key, texts in values do
            $"        {literal key} = {texts}"
        "    }"
        "    $node = 'dq'"
        "    $before = ''"
        "    foreach ($element in $tree.CommandElements | Select-Object -Skip 1) {"
        "        if ($element.Extent.EndOffset -ge $position -and $word) { break }"
        "        $before = \"$element\""
        "        if ($names.ContainsKey(\"$node $before\")) { $node = \"$node $before\" }"
        "    }"
        "    $candidates = $values[\"$node $before\"]"
        "    if (-not $candidates) { $candidates = @($names[$node]) + @($free[$node]) }"
        "    $candidates | Where-Object { $_ -like \"$word*\" } |"
        "        ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }"
        "}"
    ]

/// The script of a shell for a program's commands.
let script (shell: string) (root: Node) : Result<string, StageError> =
    match shell with
    | "bash" -> Ok(bash root)
    | "zsh" -> Ok(zsh root)
    | "fish" -> Ok(fish root)
    | "powershell" -> Ok(powershell root)
    | other -> Error(Usage $"{other}: expected bash, zsh, fish or powershell")

let run
    (place: Workplace)
    (parser: ArgumentParser)
    (arguments: ParseResults<Arguments>)
    : Task<Result<unit, StageError>> =
    let shell = arguments.GetResult Shell

    script shell (ofParser "dq" parser)
    |> Result.map (fun text -> place.Output.Result(text, {| Shell = shell; Script = text |}))
    |> Task.FromResult

/// The documents against each other, the program and the source tree.
module DQ.Tests.DocumentsTests

open System
open System.IO
open System.Text.Json.Nodes
open System.Text.RegularExpressions
open Argu
open Expecto
open DQ.Tests.Pipeline.Program
open DQ.Tests.TemporaryFolder

let private readme = Path.Combine(repository, "README.md")

let private documents = [
    for name in [ "README.md"; "CONTRIBUTING.md"; "CHANGELOG.md"; "artifacts/README.md" ] ->
        Path.Combine(repository, name)
    yield! Directory.GetFiles(Path.Combine(repository, "docs"), "*.md", SearchOption.AllDirectories)
]

/// The lines outside and inside of code fences.
let private proseAndCode (file: string) =
    let lines = File.ReadAllLines file

    let isCode =
        (false, lines)
        ||> Array.scan (fun isCode line -> isCode <> line.TrimStart().StartsWith "```")

    let labelled =
        Array.zip lines isCode[1..]
        |> Array.filter (fun (line, _) -> not (line.TrimStart().StartsWith "```"))

    let prose, code = labelled |> Array.partition (snd >> not)
    Array.map fst prose, Array.map fst code

/// The anchors of a document, as GitHub makes them of its headings.
let private anchors (file: string) =
    let slug (heading: string) =
        let text =
            Regex.Replace(heading, @"\[([^\]]*)\]\([^)]*\)", "$1").Trim().ToLowerInvariant()

        Regex.Replace(text, @"[^\w\- ]", "").Replace(' ', '-')

    fst (proseAndCode file)
    |> Array.filter (fun line -> Regex.IsMatch(line, "^#{1,6} "))
    |> Array.map (fun line -> slug (line.TrimStart '#'))
    |> Array.groupBy id
    |> Array.collect (fun (anchor, same) -> [|
        for place in 0 .. same.Length - 1 -> if place = 0 then anchor else $"{anchor}-{place}"
    |])

let private links (file: string) = [
    for line in fst (proseAndCode file) do
        for link in Regex.Matches(Regex.Replace(line, "`[^`]*`", ""), @"\]\(([^)\s]+)\)") -> link.Groups[1].Value
]

/// The relative links of a document that lead nowhere.
let private broken (file: string) = [
    for link in links file do
        if not (link.Contains "://") then
            let path, anchor =
                match link.Split '#' with
                | [| path; anchor |] -> path, anchor
                | _ -> link, ""

            let target =
                if path = "" then
                    file
                else
                    Path.Combine(nonNull (Path.GetDirectoryName file), path)

            if not (Path.Exists target) then
                $"{link}: no such file"
            elif anchor <> "" && not (Array.contains anchor (anchors target)) then
                $"{link}: no such heading"
]

/// Paths of the source tree in backticks; NAME stands for a name to be chosen.
let private namedPaths (file: string) = [
    for line in fst (proseAndCode file) do
        for code in Regex.Matches(line, @"`((?:src\.\w+|tests|docs|configs)/[\w./-]+)`") do
            let path = code.Groups[1].Value

            if not (path.Contains "NAME") then
                path
]

/// Commands in the README's table, such as `["runs"; "tag"]`: the lower-case words after `dq`.
let private shownCommands = [
    for line in fst (proseAndCode readme) do
        if line.StartsWith "| `dq " then
            for shown in Regex.Matches((line.Split '|')[1], "`dq ([^`]*)`") ->
                shown.Groups[1].Value.Split ' '
                |> Array.takeWhile (fun word -> Regex.IsMatch(word, "^[a-z]+(-[a-z]+)*$"))
                |> List.ofArray
]

let private parser =
    ArgumentParser.Create<DQ.Pipeline.Program.Arguments>(programName = "dq")

/// Whether `dq … --help` is the help of a command.
let private isCommand (words: string list) =
    try
        parser.ParseCommandLine([| yield! words; "--help" |], raiseOnUsage = true)
        |> ignore

        false
    with :? ArguParseException as answer ->
        answer.ErrorCode = ErrorCode.HelpText

let private commands = [
    for argument in parser.GetArgumentCases() do
        if argument.ArgumentType = ArgumentType.SubCommand then
            yield! argument.CommandLineNames.Value
]

/// Folders in the README's tree: those at the root, and those inside src.Core.
let private shownFolders =
    let tree =
        snd (proseAndCode readme)
        |> Array.skipWhile (fun line -> not (line.StartsWith "src.Core/"))

    let named pattern =
        tree
        |> Array.choose (fun line ->
            match Regex.Match(line, pattern) with
            | found when found.Success -> Some found.Groups[1].Value
            | _ -> None)
        |> List.ofArray

    named "^([^ /]+)/ ", named "^  ([^ /]+)/ "

[<Tests>]
let tests =
    testList "Documents" [
        for file in documents do
            test $"{Path.GetRelativePath(repository, file)}: links lead somewhere" {
                Expect.equal (broken file) [] "no link to a file or heading that is not there"
            }

        // the log says where things were
        for file in
            documents
            |> List.filter (fun file -> not (file.EndsWith "log.md" || file.EndsWith "CHANGELOG.md")) do
            test $"{Path.GetRelativePath(repository, file)}: files named in it are there" {
                namedPaths file
                |> List.filter (fun path -> not (Path.Exists(Path.Combine(repository, path))))
                |> Flip.Expect.isEmpty "no path that is not there"
            }

        test "Slurm reads directives before the first command only: scripts have none after it" {
            let scripts =
                Directory.GetFiles(Path.Combine(repository, "configs", "cluster"), "*.slurm")

            Expect.isNonEmpty scripts "there are some"

            for script in scripts do
                let isCommand (line: string) =
                    line.Trim() <> "" && not (line.StartsWith '#')

                let after = File.ReadAllLines script |> Array.skipWhile (isCommand >> not)
                Expect.isEmpty (after |> Array.filter _.StartsWith("#SBATCH")) script
        }

        test "links that lead nowhere are found" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "a.md")

                File.WriteAllLines(
                    file,
                    [
                        "# A heading: `code`, 2 · *more*"
                        "[here](#a-heading-code-2--more) [gone](#gone) [b](b.md) [site](https://example.org/b.md)"
                        "`[code](c.md)`"
                        "```"
                        "# no heading"
                        "[code](c.md)"
                        "```"
                        "![picture](d.png) [self](a.md#no-heading)"
                    ]
                )

                Expect.equal
                    (broken file)
                    [
                        "#gone: no such heading"
                        "b.md: no such file"
                        "d.png: no such file"
                        "a.md#no-heading: no such heading"
                    ]
                    "in their order")
        }

        test "every command in the README's table is one of the program" {
            Expect.isNonEmpty shownCommands "the table"
            Expect.all shownCommands isCommand "commands"
            Expect.isFalse (isCommand [ "rum" ]) "a name that is no command"
            Expect.isFalse (isCommand [ "runs"; "lost" ]) "a name that is no command of a command"
        }

        test "every command of the program is in the README's table" {
            let shown = shownCommands |> List.map List.head |> List.distinct
            Expect.containsAll shown commands "commands"
        }

        test "the README's tree has the folders there are" {
            let roots, core = shownFolders
            Expect.all roots (fun folder -> Directory.Exists(Path.Combine(repository, folder))) "folders at the root"

            let actual = [
                for folder in Directory.GetDirectories(Path.Combine(repository, "src.Core")) do
                    let name = nonNull (Path.GetFileName folder)

                    if name <> "bin" && name <> "obj" then
                        name
            ]

            Expect.equal (List.sort core) (List.sort actual) "folders in src.Core"
        }

        test "the figures of docs/figures.json stand in their documents, and their commands can be parsed" {
            let file = Path.Combine(repository, "docs", "figures.json")

            let runs =
                (nonNull (nonNull (JsonNode.Parse(File.ReadAllText file))).["runs"]).AsArray()

            let text (node: JsonNode | null) (key: string) =
                (nonNull (nonNull node).[key]).ToString()

            Expect.isNonEmpty runs "commands"

            for run in runs do
                let command = [|
                    for word in (nonNull (nonNull run).["command"]).AsArray() -> (nonNull word).ToString()
                |]

                parser.ParseCommandLine(command, raiseOnUsage = true) |> ignore
                Expect.contains command "--json" "what a script reads"

                for figure in (nonNull (nonNull run).["figures"]).AsArray() do
                    let document = Path.Combine(repository, text figure "document")
                    let shown = text figure "shown"
                    Expect.stringContains (File.ReadAllText document) shown (text figure "document")

                    let number =
                        Double.Parse(shown.Replace(",", ""), Globalization.CultureInfo.InvariantCulture)

                    let value = (nonNull (nonNull figure).["value"]).GetValue<float>()
                    Expect.equal value number $"{shown}: the value is what is shown"
        }

        test "docs/README.md names every page" {
            let index = Path.Combine(repository, "docs", "README.md")

            let pages = [
                for file in Directory.GetFiles(Path.Combine(repository, "docs"), "*.md") do
                    if file <> index then
                        nonNull (Path.GetFileName file)
            ]

            Expect.containsAll (links index) pages "pages"
        }
    ]

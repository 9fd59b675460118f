module DQ.Tests.RoomsTests

open System.IO
open System.Text.RegularExpressions
open Expecto

/// A source file: its folder under src.Core (the room), its own folder, which may lie deeper, its name and its text.
type private Source = {
    Room: string
    Folder: string
    File: string
    Text: string
}

let private core =
    Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "src.Core"))

let private sources () = [
    for folder in Directory.GetDirectories core do
        let room = Path.GetFileName folder |> nonNull

        if room <> "bin" && room <> "obj" then
            for path in Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories) do
                {
                    Room = room
                    Folder = Path.GetRelativePath(core, nonNull (Path.GetDirectoryName path))
                    File = Path.GetFileName path |> nonNull
                    Text = File.ReadAllText path
                }
]

/// Comments say what they like; a reference in them makes no dependency.
let private code (source: Source) = Regex.Replace(source.Text, "//.*", "")

let private declared (source: Source) =
    Regex.Matches(code source, @"\b(?:class|record struct|record|struct|interface|enum)\s+([A-Z]\w*)")
    |> Seq.map (fun found -> source.Room, found.Groups[1].Value)

/// Rooms that a file names: `DQ.Core.Room` in a using or in full, or `Room.Type` seen from the common namespace.
let private named (types: Set<string * string>) (rooms: Set<string>) (source: Source) =
    let text = code source

    let full =
        Regex.Matches(text, @"\bDQ\.Core\.([A-Z]\w*)")
        |> Seq.map (fun found -> found.Groups[1].Value)

    let partial =
        Regex.Matches(text, @"(?<![\w.])([A-Z]\w*)\.([A-Z]\w*)")
        |> Seq.map (fun found -> found.Groups[1].Value, found.Groups[2].Value)
        |> Seq.filter types.Contains
        |> Seq.map fst

    Seq.append full partial
    |> Seq.filter (fun room -> rooms.Contains room && room <> source.Room)
    |> Seq.distinct

/// Which room knows which, and the first file that shows it.
let private arrows (all: Source list) =
    let rooms = all |> Seq.map _.Room |> Set.ofSeq
    let types = all |> Seq.collect declared |> Set.ofSeq

    Map [
        for source in List.rev all do
            for room in named types rooms source do
                (source.Room, room), source.File
    ]

/// A way from a room back to itself, if there is one: its rooms in order, the first again at the end.
let private cycle (known: Map<string * string, string>) =
    let next room = [
        for KeyValue((from, towards), _) in known do
            if from = room then
                towards
    ]

    // rooms from which no way leads back are left behind
    let rec visit (closed: Set<string>) path room =
        if List.contains room path then
            Error(List.rev (room :: List.take (1 + List.findIndex ((=) room) path) path))
        elif closed.Contains room then
            Ok closed
        else
            (Ok closed, next room)
            ||> List.fold (fun closed towards ->
                closed |> Result.bind (fun closed -> visit closed (room :: path) towards))
            |> Result.map (Set.add room)

    let starts = known |> Map.toList |> List.map (fst >> fst) |> List.distinct

    match
        (Ok Set.empty, starts)
        ||> List.fold (fun closed room -> Result.bind (fun closed -> visit closed [] room) closed)
    with
    | Error path -> Some path
    | Ok _ -> None

let private shown (known: Map<string * string, string>) path =
    path
    |> List.pairwise
    |> List.map (fun arrow -> $"{fst arrow} -> {snd arrow} ({known[arrow]})")
    |> String.concat ", "

[<Tests>]
let tests =
    testList "Rooms" [
        test "the folders of src.Core form no cycle" {
            let known = arrows (sources ())
            Expect.isGreaterThan known.Count 30 "sources were found"

            match cycle known with
            | Some path -> failtest (shown known path)
            | None -> ()
        }

        test "records on disk and file formats know no other folder" {
            let known = arrows (sources ())

            for room in [ "Artifacts"; "Formats" ] do
                known
                |> Map.toList
                |> List.filter (fun ((from, _), _) -> from = room)
                |> List.map (fun ((_, towards), file) -> towards, file)
                |> fun found -> Expect.isEmpty found room
        }

        test "namespaces are those of their folders" {
            for source in sources () do
                let expected = source.Folder.Replace('/', '.')
                Expect.stringContains source.Text $"namespace DQ.Core.{expected};" $"{source.Folder}/{source.File}"
        }

        test "usings, full names and names seen from the common namespace are arrows; comments are none" {
            let source room file text = {
                Room = room
                Folder = room
                File = file
                Text = text
            }

            let made = [
                source
                    "Low"
                    "Bottom.cs"
                    "/// <see cref=\"High.Top\"/>\nnamespace DQ.Core.Low; class Bottom { } // High.Top"
                source
                    "Middle"
                    "Between.cs"
                    "using DQ.Core.Low; class Between { Map.Entries entries; Low.Other other; }"
                source "High" "Top.cs" "class Top { Middle.Between between; DQ.Core.Low.Bottom bottom; }"
                source "Map" "Map.cs" "class Map { }"
            ]

            Expect.equal
                (arrows made |> Map.toList |> List.map fst)
                [ "High", "Low"; "High", "Middle"; "Middle", "Low" ]
                "arrows"

            Expect.isNone (cycle (arrows made)) "no cycle"

            let closed =
                arrows (source "Low" "Loop.cs" "using static DQ.Core.High.Top;" :: made)

            let found = cycle closed |> Option.map (shown closed)

            Expect.equal
                found
                (Some "High -> Low (Top.cs), Low -> High (Loop.cs)")
                "the way round, with a file for each step"
        }
    ]

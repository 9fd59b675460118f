/// Published numbers, found by their settings.
module DQ.Pipeline.Sweeps.Tables

open System.Collections.Generic
open System.IO
open System.Text.Json.Nodes
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration

/// A published number and its dotted keys.
type Entry = {
    Settings: JsonObject list
    Metric: string
    Value: PublishedValue
}

/// The numbers of a file; empty cells of a table are left out.
let load (file: string) : Result<Entry list, StageError> =
    let problem message =
        Error(
            Configuration [
                {
                    File = file
                    Key = ""
                    Message = message
                }
            ]
        )

    if not (File.Exists file) then
        problem "expected a file of published numbers (sweep.published), found none"
    else
        try
            let results = ArtifactJson.Read<PublishedResults> file

            Ok [
                for table in results.Tables do
                    for row in table.Rows do
                        for column in row.Values do
                            match Option.ofNullable column.Value, table.Columns.TryGetValue column.Key with
                            | None, _ -> ()
                            | Some _, (false, _) ->
                                raise (
                                    ArtifactException
                                        $"{file}: {table.Source}: column '{column.Key}' is not among its columns"
                                )
                            | Some value, (true, settings) -> {
                                Settings = [ table.Settings; row.Settings; settings ]
                                Metric = table.Metric
                                Value = PublishedValue(value, table.Source)
                              }
            ]
        with :? ArtifactException as error ->
            Error(
                Configuration [
                    {
                        File = ""
                        Key = ""
                        Message = error.Message
                    }
                ]
            )

let private isFor (tree: JsonObject) (entry: Entry) =
    entry.Settings
    |> List.forall (
        Seq.forall (fun pair ->
            match ConfigTree.find pair.Key tree with
            | Some value -> ConfigTree.canonical value = ConfigTree.canonical pair.Value
            | None -> false)
    )

/// The published numbers for a configuration, by metric; the first if there are two for one metric.
let find (entries: Entry list) (tree: JsonObject) : IReadOnlyDictionary<string, PublishedValue> =
    let values = Dictionary<string, PublishedValue>()

    for entry in entries do
        if isFor tree entry then
            values.TryAdd(entry.Metric, entry.Value) |> ignore

    values

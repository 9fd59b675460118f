/// Tests the paper's statements about depthwise and vector quantization with a sweep's own numbers. M codebooks of K
/// codes per level; losses are means over seeds.
module DQ.Pipeline.Sweeps.Trends

open System
open System.IO
open System.Text.Json
open System.Text.Json.Nodes
open DQ.Core.Artifacts
open DQ.Core.Quantization
open DQ.Pipeline
open DQ.Pipeline.Numbers
open DQ.Pipeline.Configuration
open DQ.Pipeline.Sweeps.Board
open DQ.Pipeline.Sweeps.Rows

let private codebooksKey = "model.codebooks"
let private codesKey = "model.codes"
let private kindKey = "model.quantizer.kind"

let private value key (row: Row) : JsonNode | null =
    ConfigTree.find key row.Tree |> Option.defaultValue null

let private whole (node: JsonNode | null) = (nonNull node).GetValue<int>()
let private kind row = Sweep.show (value kindKey row)
let private codebooks row = whole (value codebooksKey row)

let private codes row = [ for count in (nonNull (value codesKey row)).AsArray() -> whole count ]

/// The configuration without one key, as text: it must be equal in a fair comparison along that key.
let private but key (row: Row) =
    let tree = row.Tree.DeepClone().AsObject()
    let parts = (key: string).Split '.'

    let parent =
        parts[.. parts.Length - 2]
        |> String.concat "."
        |> (fun path -> ConfigTree.find path tree)

    match parent with
    | Some(:? JsonObject as section) -> section.Remove(Array.last parts) |> ignore
    | _ -> ()

    ConfigTree.canonical tree

let private four = number "G4"

let private percent value = number "+0.0;-0.0;0.0" value + " %"

let private ofCodebooks row = $"M = {codebooks row}"

let private ofCodes row =
    $"K = {ConfigTree.canonical (value codesKey row)}"

let private named row =
    $"{ofCodebooks row}, {ofCodes row}, {row.Record.Loss}"

/// Rows with a loss, in ascending series along a key; all other settings are equal.
let private series key (position: Row -> float) (rows: (Row * float) list) =
    rows
    |> List.groupBy (fst >> but key)
    |> List.map (snd >> List.sortBy (fst >> position))
    |> List.filter (fun members -> members.Length > 1)

let private alongCodebooks = series codebooksKey (codebooks >> float)

/// Series along K, for models with one level only, since longer lists have no order.
let private alongCodes (rows: (Row * float) list) =
    rows
    |> List.filter (fun (row, _) -> (codes row).Length = 1)
    |> series codesKey (codes >> List.head >> float)

/// None if there are no numbers to test.
let private all (checks: bool list) =
    if checks.IsEmpty then None else Some(List.forall id checks)

let private trend (name, subject, claim, holds, evidence) =
    SweepTrend(name, subject, claim, Option.toNullable holds, evidence)

let private quantizers rows =
    rows |> List.map (fst >> kind) |> List.distinct

/// Whether the loss falls at every step of every series, for each quantizer.
let private falls name claim along (shared: Row -> string) (varied: Row -> string) rows = [
    for quantizer in quantizers rows do
        let series = along (rows |> List.filter (fun (row, _) -> kind row = quantizer))

        let line (members: (Row * float) list) =
            let row = fst members.Head
            let points = [ for row, loss in members -> $"{four loss} ({varied row})" ]
            $"{shared row}, {row.Record.Loss}: " + String.concat " → " points

        let holds =
            all [
                for members in series do
                    for (_, before), (_, after) in List.pairwise members -> after < before
            ]

        trend (name, quantizer, claim, holds, [| for members in series -> line members |])
]

/// Change of the loss in percent each time the position doubles, mean over the series, first to last.
let private perDoubling (position: Row -> float) (series: (Row * float) list list) =
    match series with
    | [] -> None
    | series ->
        Some(
            series
            |> List.averageBy (fun members ->
                let first, last = List.head members, List.last members

                log (snd last / snd first)
                / Math.Log2(position (fst last) / position (fst first)))
            |> fun change -> 100.0 * (exp change - 1.0)
        )

let private codesMatterLess name rows = [
    for quantizer in quantizers rows do
        let mine = rows |> List.filter (fun (row, _) -> kind row = quantizer)

        let holds, evidence =
            match
                perDoubling (codebooks >> float) (alongCodebooks mine),
                perDoubling (codes >> List.head >> float) (alongCodes mine)
            with
            | Some byCodebooks, Some byCodes ->
                Some(byCodes > byCodebooks),
                [| $"loss per doubling: {percent byCodebooks} of M, {percent byCodes} of K" |]
            | _ -> None, [||]

        trend (name, quantizer, "the loss falls more when M doubles than when K does", holds, evidence)
]

/// Depthwise and vector quantization with everything else equal.
let private pairs (wanted: Row -> bool) (rows: (Row * float) list) =
    rows
    |> List.filter (fst >> wanted)
    |> List.groupBy (fst >> but kindKey)
    |> List.choose (fun (_, members) ->
        let ofKind name =
            members |> List.tryFind (fun (row, _) -> kind row = name)

        match ofKind DepthwiseQuantizer.Kind, ofKind VectorQuantizer.Kind with
        | Some dq, Some vq -> Some(dq, vq)
        | _ -> None)

let private compared (dq: Row * float, vq: Row * float) =
    $"{named (fst dq)}: {four (snd dq)} depthwise, {four (snd vq)} vector"

/// The relative difference up to which two trainings count as equal: they are of the same function, and differ only by
/// rounding.
let private tolerance = 0.01

let private equalAtOne name rows =
    let matched = pairs (fun row -> codebooks row = 1) rows

    let equal ((_, dq: float), (_, vq: float)) = abs (dq - vq) <= tolerance * vq

    [
        trend (
            name,
            "",
            "with one codebook, depthwise and vector quantization are the same, within 1 % of the loss",
            all (List.map equal matched),
            [| for pair in matched -> compared pair |]
        )
    ]

let private below name rows =
    let matched = pairs (fun row -> codebooks row > 1) rows

    [
        trend (
            name,
            "",
            "with more than one codebook, depthwise quantization has the lower loss",
            all [ for (_, dq), (_, vq) in matched -> dq < vq ],
            [| for pair in matched -> compared pair |]
        )
    ]

/// Validation losses of a run by step, from its log.
let private validations (folder: string) : (int64 * float) list = [
    let log = Path.Combine(folder, RunLayout.Metrics)

    if File.Exists log then
        for line in File.ReadLines log do
            match JsonSerializer.Deserialize<MetricsRecord>(line, ArtifactJson.Options) with
            | null -> ()
            | record when record.Split = "validation" ->
                for loss in
                    [ record.ReconstructionNatsPerDim; record.ReconstructionSquaredError ]
                    |> List.choose Option.ofNullable do
                    record.Step, loss
            | _ -> ()
]

/// By seed, the step at which depthwise quantization reaches the best validation loss of vector quantization, and the
/// step of that best loss.
let private stepsToMatch name rows =
    let runs (row: Row) =
        Map [
            for cell, state in row.Cells do
                match state with
                | CellState.Completed run ->
                    match validations run.Folder with
                    | [] -> ()
                    | losses -> cell.Variant.Config.Seed, losses
                | _ -> ()
        ]

    let reachings = [
        for (dq, _), (vq, _) in pairs (fun row -> codebooks row > 1) rows do
            let dqRuns, vqRuns = runs dq, runs vq

            let published =
                match dq.Record.Published.TryGetValue name, vq.Record.Published.TryGetValue name with
                | (true, dq), (true, vq) -> $"; published: {dq.Value:F0} and {vq.Value:F0}"
                | _ -> ""

            for seed in Map.keys dqRuns do
                match vqRuns.TryFind seed with
                | None -> ()
                | Some losses ->
                    let step, best = losses |> List.minBy snd

                    match dqRuns[seed] |> List.tryFind (fun (_, loss) -> loss <= best) with
                    | Some(reached, _) ->
                        reached < step, $"{named dq}, seed {seed}: by step {reached}, vector {step}{published}"
                    | None -> false, $"{named dq}, seed {seed}: not reached, vector {step}{published}"
    ]

    [
        trend (
            name,
            "",
            "depthwise quantization reaches the best validation loss of vector quantization in fewer steps",
            all (List.map fst reachings),
            [| for _, line in reachings -> line |]
        )
    ]

/// The tests of the trends, by their names in configurations.
let private known: (string * (string -> (Row * float) list -> SweepTrend list)) list = [
    "loss_falls_with_codebooks", (fun name -> falls name "the loss falls as M rises" alongCodebooks ofCodes ofCodebooks)
    "loss_falls_with_codes", (fun name -> falls name "the loss falls as K rises" alongCodes ofCodebooks ofCodes)
    "codes_matter_less", codesMatterLess
    "equal_at_one_codebook", equalAtOne
    "depthwise_below_vector", below
    "steps_to_best_vq_loss", stepsToMatch
]

let names = List.map fst known

/// The trends of these names in the completed rows.
let judge (wanted: string list) (rows: Row list) : SweepTrend list =
    let rows =
        rows |> List.choose (fun row -> loss row |> Option.map (fun loss -> row, loss))

    [
        for name, look in known do
            if List.contains name wanted then
                yield! look name rows
    ]

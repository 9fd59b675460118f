/// Detects that codebooks collapse, recover, or are revived in bursts. It is pure: flags in, flags and events out.
module DQ.Pipeline.Training.CodebookWatch

open System
open DQ.Core.Artifacts
open DQ.Core.Quantization
open DQ.Pipeline
open DQ.Pipeline.Configuration

/// One codebook's state, so that an event is reported once and not on every line.
type Flags = { Collapsed: bool; Bursting: bool }

let start (levels: int) codebooks : Flags[][] =
    Array.init levels (fun _ -> Array.create codebooks { Collapsed = false; Bursting = false })

let private event kind step level codebook message =
    EventRecord(
        Kind = kind,
        Step = step,
        Level = Nullable level,
        Codebook = Nullable codebook,
        Message = $"level {level}, codebook {codebook}: {message}"
    )

/// Suggestions beyond the present settings.
let private remedies (quantizer: QuantizerSpec) =
    [
        if quantizer.Initialization <> "kmeans" then
            "model.quantizer.initialization=kmeans"
        if quantizer.Revival = "none" then
            "model.quantizer.revival=usage"
        "fewer codes"
        "a lower training.learning_rate"
    ]
    |> String.concat ", "

/// The events of a window of steps. `choices` are the numbers of quantized vectors per step, by level, which limit the
/// number of used codes.
let look
    (config: LoopConfig)
    (quantizer: QuantizerSpec)
    (codes: int list)
    (choices: int64 list)
    step
    (window: Window)
    (flags: Flags[][])
    =
    match Window.meanPerplexity window with
    | None -> flags, []
    | Some perplexities ->
        let judged = [|
            for level, (codes, choices) in Seq.indexed (Seq.zip codes choices) ->
                [|
                    for codebook, before in Array.indexed flags[level] ->
                        let perplexity = perplexities[level][codebook]
                        let share = perplexity / float (min (int64 codes) choices)
                        let revived = float (window.Revived[level][codebook]) / float window.Steps
                        // a codebook has recovered at twice the threshold, so that events do not alternate around it
                        let limit =
                            if before.Collapsed then
                                2.0 * config.CollapsePerplexity
                            else
                                config.CollapsePerplexity

                        let now = {
                            Collapsed = share < limit
                            Bursting = revived > config.RevivalBurst * float codes
                        }

                        let report kind message = event kind step level codebook message

                        now,
                        [
                            if now.Collapsed && not before.Collapsed then
                                report
                                    "codebook_collapsed"
                                    $"collapsed to a perplexity of {perplexity:F1} of {codes} codes; try {remedies quantizer}"
                            if before.Collapsed && not now.Collapsed then
                                report
                                    "codebook_recovered"
                                    $"recovered to a perplexity of {perplexity:F1} of {codes} codes"
                            if now.Bursting && not before.Bursting then
                                report
                                    "revival_burst"
                                    $"{revived:F0} of {codes} codes revived per step; try fewer codes, a lower training.learning_rate"
                        ]
                |]
        |]

        judged |> Array.map (Array.map fst),
        [
            for level in judged do
                for _, events in level do
                    yield! events
        ]

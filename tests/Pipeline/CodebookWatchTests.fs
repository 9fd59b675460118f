module DQ.Tests.Pipeline.CodebookWatchTests

open System.Text.Json
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Training

let private report perplexity revived =
    StepReport(
        1L,
        1.0,
        1.0,
        0.0,
        1e-3,
        1.0,
        false,
        [|
            LevelReport([| perplexity; 60.0 |], [| revived; 0L |], [| [| 0uy |]; [| 0uy |] |])
        |]
    )

/// What is said about a window of steps with these perplexities and revived codes.
let private lookAt flags (steps: (float * int64) list) =
    let window =
        steps
        |> List.fold
            (fun window (perplexity, revived) -> Window.add 4L 0.1 (report perplexity revived) window)
            (Window.empty 1 2)

    let flags, events =
        CodebookWatch.look Settings.defaults.Loop (QuantizerSpec()) [ 64 ] [ 1024L ] 10L window flags

    flags,
    [
        for event in events -> event.Kind, event.Level.Value, event.Codebook.Value, event.Message
    ]

let private look flags perplexity revived = lookAt flags [ perplexity, revived ]

[<Tests>]
let tests =
    testList "Pipeline.CodebookWatch" [
        test "a collapse is said once, names level and codebook and what to try, and so is its end" {
            let start = CodebookWatch.start 1 2
            let collapsed, events = look start 2.0 0L

            match events with
            | [ "codebook_collapsed", 0, 0, message ] ->
                Expect.stringContains message "level 0, codebook 0" "where"
                Expect.stringContains message "try fewer codes" "what to try; k-means and revival are set already"
                Expect.isFalse (message.Contains "kmeans") "not what is set already"
            | other -> failtestf "expected one collapse, got %A" other

            let still, events = look collapsed 2.0 0L
            Expect.isEmpty events "said already"
            let still, events = look still 4.0 0L
            Expect.isEmpty events "not yet twice the threshold"
            let _, events = look still 30.0 0L

            Expect.equal
                [ for kind, _, codebook, _ in events -> kind, codebook ]
                [ "codebook_recovered", 0 ]
                "recovered"
        }

        test "many codes revived at once are a burst, said once while it lasts" {
            let bursting, events = look (CodebookWatch.start 1 2) 30.0 32L

            Expect.equal
                [ for kind, _, codebook, _ in events -> kind, codebook ]
                [ "revival_burst", 0 ]
                "half of the codes"

            let still, events = look bursting 30.0 32L
            Expect.isEmpty events "said already"
            let over, events = look still 30.0 0L
            Expect.isEmpty events "its end is not said"
            let _, events = look over 30.0 32L
            Expect.hasLength events 1 "another one is"
        }

        test "what a window says is per step, however many it has" {
            let _, events = lookAt (CodebookWatch.start 1 2) [ 30.0, 12L; 30.0, 12L; 30.0, 12L ]

            Expect.isEmpty events "12 of 64 revived in each step are no burst"
            let _, events = lookAt (CodebookWatch.start 1 2) [ 2.0, 0L; 3.0, 0L; 4.0, 0L ]

            Expect.equal
                [ for kind, _, codebook, _ in events -> kind, codebook ]
                [ "codebook_collapsed", 0 ]
                "a mean perplexity of 3"
        }

        test "fewer vectors than codes are no collapse" {
            let window = Window.empty 1 2 |> Window.add 4L 0.1 (report 8.0 0L)

            let _, events =
                CodebookWatch.look
                    Settings.defaults.Loop
                    (QuantizerSpec())
                    [ 1024 ]
                    [ 16L ]
                    10L
                    window
                    (CodebookWatch.start 1 2)

            Expect.isEmpty events "half of what 16 vectors can choose"
        }

        test "a code is dead in a line when no step of its window chose it, in one that was saved too" {
            let chose idle =
                StepReport(1L, 1.0, 1.0, 0.0, 1e-3, 1.0, false, [| LevelReport([| 2.0 |], [| 0L |], [| idle |]) |])

            // of nine codes the first step left out 0, 1, 3 and 8, the second 1, 2 and 8
            let first = Window.empty 1 1 |> Window.add 4L 0.1 (chose [| 0b0000_1011uy; 1uy |])

            let saved =
                JsonSerializer.Deserialize<Window>(
                    JsonSerializer.Serialize(first, ArtifactJson.Options),
                    ArtifactJson.Options
                )
                |> nonNull

            let line =
                Criterion.line Criterion.NatsPerDim "train" 2L 8L 0.2 (Window.judged first) None
                |> Window.line (Window.add 4L 0.1 (chose [| 0b0000_0110uy; 1uy |]) saved)

            let level = Seq.head (nonNull line.Levels)
            Expect.sequenceEqual (nonNull level.Dead) [ 2 ] "1 and 8"

            // as a checkpoint of the first version has it
            let unknown = Window.add 4L 0.1 (chose [| 0uy; 0uy |]) { saved with Idle = [||] }

            let line =
                Criterion.line Criterion.NatsPerDim "train" 2L 8L 0.2 (Window.judged unknown) None
                |> Window.line unknown

            let level = Seq.head (nonNull line.Levels)
            Expect.isNull level.Dead "not a number for what nobody knows"
            Expect.sequenceEqual level.Perplexity [ 2.0 ] "the rest is there"
        }

        test "a window of skipped steps says nothing and has no means" {
            let skipped =
                StepReport(
                    1L,
                    nan,
                    nan,
                    nan,
                    1e-3,
                    nan,
                    true,
                    [| LevelReport([| 1.0; 1.0 |], [| 0L; 0L |], [| [| 0uy |]; [| 0uy |] |]) |]
                )

            let window = Window.empty 1 2 |> Window.add 4L 0.1 skipped
            Expect.isNone (Window.meanPerplexity window) "no perplexity"

            let line =
                Criterion.line Criterion.NatsPerDim "train" 1L 4L 0.1 (Window.judged window) None
                |> Window.line window

            Expect.isFalse line.Loss.HasValue "null, not NaN"
            Expect.equal line.SkippedSteps.Value 1 "but it is counted"
        }
    ]

module DQ.Tests.Artifacts.RunNamesTests

open System
open System.Text.Json.Nodes
open Expecto
open DQ.Core.Artifacts

let private begun = DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc)

let private runOf kind id name variant status (hours: int) (parents: string list) =
    RunRecord(
        Id = id,
        Name = name,
        Variant = variant,
        Kind = kind,
        Status = status,
        Fingerprint = id,
        Seed = 0L,
        Config = JsonObject(),
        Parents = [| for parent in parents -> Parent("run", parent, parent) |],
        Software = SoftwareRecord("", "", "", "", ""),
        Device = "cpu",
        Threads = 1,
        StartedUtc = begun.AddHours(float hours),
        UpdatedUtc = begun,
        Steps = 1L
    )

let private named archived (record: RunRecord) = NamedRun(record.Id, record, archived)

let private train = runOf RunKind.Train

let private all = [|
    named false (train "d1-mine-dq-aaaa" "mine" "dq" RunStatus.Completed 1 [])
    named false (train "d2-mine-dq-bbbb" "mine" "dq" RunStatus.Completed 2 [])
    named false (train "d3-mine-dq-cccc" "mine" "dq" RunStatus.Interrupted 3 [])
    named false (train "d1-mine-dq-long-eeee" "mine" "dq-long" RunStatus.Completed 4 [])
    named false (train "d1-alone-ffff" "alone" "" RunStatus.Completed 0 [])
    named
        false
        (runOf RunKind.Density "d5-alone-density-gggg" "alone-density" "" RunStatus.Completed 5 [ "d1-alone-ffff" ])
    named true (train "d9-alone-hhhh" "alone" "" RunStatus.Completed 9 [])
    NamedRun("d1-damaged-iiii", null, false)
|]

let private idOf text =
    RunNames.Find(text, all).Run
    |> Option.ofObj
    |> Option.map _.Id
    |> Option.defaultValue "none"

[<Tests>]
let tests =
    testList "Artifacts.RunNames" [
        test "what a text means" {
            for text, id in
                [
                    "d1-mine-dq-aaaa", "d1-mine-dq-aaaa"
                    // of one title the latest completed; a title wins over a part
                    "mine-dq", "d2-mine-dq-bbbb"
                    "mine-dq@2", "d1-mine-dq-aaaa"
                    "dq-long", "d1-mine-dq-long-eeee"
                    // archived runs have their ids only
                    "alone", "d1-alone-ffff"
                    "hhhh", "none"
                    "d9-alone-hhhh", "d9-alone-hhhh"
                    // a density of it does not count
                    "alon", "d1-alone-ffff"
                    "alone-density", "d5-alone-density-gggg"
                    "latest", "d5-alone-density-gggg"
                    "@1", "d5-alone-density-gggg"
                    "@2", "d1-mine-dq-long-eeee"
                    "@6", "none"
                    "@0", "none"
                    "damaged", "d1-damaged-iiii"
                    "", "none"
                    // several titles
                    "mine", "none"
                ] do
                Expect.equal (idOf text) id text
        }

        test "where others have the name, it is said which was taken" {
            Expect.stringContains (string (RunNames.Find("mine-dq", all).Text)) "d2-mine-dq-bbbb is taken" "said"
            Expect.isNull (RunNames.Find("dq-long", all).Text) "no doubt"
            Expect.stringContains (string (RunNames.Find("mine", all).Text)) "fits several runs" "which"
        }
    ]

module DQ.Tests.Fixtures

open System
open System.IO
open DQ.Tests.TemporaryFolder

/// A file of tests/Fixtures.
let fixture (parts: string list) =
    Path.Combine [| __SOURCE_DIRECTORY__; "Fixtures"; yield! parts |]

/// Runs a test with the path of a file to be, in a folder that is gone afterwards.
let withFile (act: string -> unit) =
    inFolder (fun folder -> act (Path.Combine(folder, "file")))

/// A C# record with other values, by property: its `with`, which F# does not have.
let altered (record: 'record) (values: (string * (obj | null)) list) : 'record =
    let copy = (nonNull (typeof<'record>.GetMethod "<Clone>$")).Invoke(record, [||])

    for name, value in values do
        (nonNull (typeof<'record>.GetProperty name)).SetValue(copy, value)

    unbox<'record>(nonNull copy)

/// Bytes changed, dropped, doubled or replaced by `likely` ones, at a few places drawn from `random` within `reach`.
let mutate (random: Random) (reach: int) (likely: byte[]) (content: byte[]) =
    let copy = ResizeArray content

    for _ in 0 .. random.Next 4 do
        let reach = min copy.Count reach

        if reach > 1 then
            let at = random.Next reach
            let run = min (random.Next(1, 16)) (copy.Count - at)

            match random.Next 6 with
            | 0 -> copy[at] <- byte (random.Next 256)
            | 1 -> copy[at] <- copy[at] ^^^ (1uy <<< random.Next 8)
            | 2 -> copy.RemoveRange(at, run)
            | 3 -> copy.InsertRange(at, copy.GetRange(at, run))
            | 4 -> copy.Insert(at, likely[random.Next likely.Length])
            | _ -> copy[at] <- likely[random.Next likely.Length]

    copy.ToArray()

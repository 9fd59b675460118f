namespace DQ.Pipeline.Data

/// A part of a data set. On disk and in configurations: `train`, `validation`, `test`.
[<RequireQualifiedAccess>]
type Split =
    | Train
    | Validation
    | Test

module Split =
    let all = [ Split.Train; Split.Validation; Split.Test ]

    let name split =
        match split with
        | Split.Train -> "train"
        | Split.Validation -> "validation"
        | Split.Test -> "test"

    /// None if there is no such split.
    let tryParse (text: string) : Split option =
        all |> List.tryFind (fun split -> name split = text)

    /// The split with a name that was checked before.
    let parse (text: string) : Split =
        match tryParse text with
        | Some split -> split
        | None -> invalidArg (nameof text) $"expected train, validation or test, got '{text}'"

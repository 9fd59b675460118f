namespace DQ.Pipeline.Storage

open DQ.Pipeline

/// The name of an artifact: equal inputs and settings, equal fingerprint.
[<RequireQualifiedAccess>]
type Fingerprint =
    | Of of string
    /// Of several artifacts together, in order.
    | All of Fingerprint list
    /// It depends on something that is not made yet.
    | Unknown

module Fingerprint =
    /// 64 hexadecimal digits over the parts; where one part ends and the next begins counts.
    let ofParts (parts: string list) =
        parts
        |> List.map (fun part -> $"{part.Length}:{part}")
        |> String.concat ""
        |> DQ.Core.Sha256.OfText

    /// The fingerprints of all artifacts in it, in order; None where one is unknown.
    let rec parts fingerprint : string list option =
        match fingerprint with
        | Fingerprint.Unknown -> None
        | Fingerprint.Of name -> Some [ name ]
        | Fingerprint.All several -> several |> List.map parts |> List.allOrNone |> Option.map List.concat

    /// One of several.
    let item index fingerprint =
        match fingerprint with
        | Fingerprint.All several -> several[index]
        | Fingerprint.Of _ -> invalidArg (nameof fingerprint) "expected several fingerprints, got one"
        | Fingerprint.Unknown -> Fingerprint.Unknown

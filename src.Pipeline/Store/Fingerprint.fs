/// Names for content: equal content, equal fingerprint.
module DQ.Pipeline.Fingerprint

/// 64 hexadecimal digits over the parts; where one part ends and the next begins counts.
let ofParts (parts: string list) =
    parts
    |> List.map (fun part -> $"{part.Length}:{part}")
    |> String.concat ""
    |> DQ.Core.Sha256.OfText

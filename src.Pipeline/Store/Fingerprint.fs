/// Names for content: equal content, equal fingerprint.
module DQ.Pipeline.Fingerprint

open System
open System.Security.Cryptography
open System.Text

/// 64 hexadecimal digits over the parts; where one part ends and the next begins counts.
let ofParts (parts: string list) =
    let text =
        parts |> List.map (fun part -> $"{part.Length}:{part}") |> String.concat ""

    Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes text))

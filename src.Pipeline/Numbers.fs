/// Numbers as text, in the same form everywhere.
module DQ.Pipeline.Numbers

open System
open System.Globalization

/// With a decimal point, for any language of the system.
let number (format: string) (value: float) =
    value.ToString(format, CultureInfo.InvariantCulture)

/// A number of a record as text. C# records have Nullable, because their JSON has null.
let orMissing (missing: string) (show: float -> string) (value: Nullable<float>) =
    value |> Option.ofNullable |> Option.map show |> Option.defaultValue missing

/// A dash if there is no number.
let optional format = orMissing "–" (number format)

/// With commas as thousands separators.
let counted (value: int64) =
    value.ToString("N0", CultureInfo.InvariantCulture)

let scientific = number "0.00e+00"

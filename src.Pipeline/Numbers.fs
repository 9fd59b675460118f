/// Numbers as text, the same everywhere.
module DQ.Pipeline.Numbers

open System
open System.Globalization

/// With a point, whatever the machine's language.
let number (format: string) (value: float) =
    value.ToString(format, CultureInfo.InvariantCulture)

/// A number of a record as text. Records of C# have Nullable, as their JSON has null.
let orMissing (missing: string) (show: float -> string) (value: Nullable<float>) =
    value |> Option.ofNullable |> Option.map show |> Option.defaultValue missing

/// A dash where there is none.
let optional format = orMissing "–" (number format)

/// With commas between thousands.
let counted (value: int64) =
    value.ToString("N0", CultureInfo.InvariantCulture)

let scientific = number "0.00e+00"

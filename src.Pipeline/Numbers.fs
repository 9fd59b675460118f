/// Numbers as text, the same everywhere.
module DQ.Pipeline.Numbers

open System
open System.Globalization

/// With a point, whatever the machine's language.
let number (format: string) (value: float) =
    value.ToString(format, CultureInfo.InvariantCulture)

/// A dash where there is none.
let optional format (value: Nullable<float>) =
    if value.HasValue then number format value.Value else "–"

/// With commas between thousands.
let counted (value: int64) =
    value.ToString("N0", CultureInfo.InvariantCulture)

let scientific = number "0.00e+00"

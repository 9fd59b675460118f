/// Finds the known name that is most similar to a mistyped one.
module DQ.Pipeline.Configuration.Nearest

open DQ.Pipeline

/// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other.
let distance (a: string) (b: string) =
    let table =
        Array2D.init (a.Length + 1) (b.Length + 1) (fun i j ->
            if i = 0 then j
            elif j = 0 then i
            else 0)

    for i in 1 .. a.Length do
        for j in 1 .. b.Length do
            let cost = if a[i - 1] = b[j - 1] then 0 else 1

            table[i, j] <- min (min (table[i - 1, j] + 1) (table[i, j - 1] + 1)) (table[i - 1, j - 1] + cost)

            if i > 1 && j > 1 && a[i - 1] = b[j - 2] && a[i - 2] = b[j - 1] then
                table[i, j] <- min table[i, j] (table[i - 2, j - 2] + 1)

    table[a.Length, b.Length]

/// The nearest candidate, if at most a third of the name is mistyped.
let find (name: string) (candidates: string list) =
    candidates
    |> List.map (fun candidate -> distance name candidate, candidate)
    |> List.filter (fun (steps, candidate) -> steps <= max 1 (max name.Length candidate.Length / 3))
    |> List.sort
    |> List.tryHead
    |> Option.map snd

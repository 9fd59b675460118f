/// How many threads libtorch computes with.
module DQ.Pipeline.Host.Threads

open System
open System.Globalization
open System.IO
open System.Threading
open DQ.Pipeline

/// Where the number comes from.
[<RequireQualifiedAccess>]
type Source =
    /// `--threads`, `DQ_THREADS` or `OMP_NUM_THREADS`.
    | Asked
    /// The machine, by what was free of it.
    | Machine of free: float

type Threads = {
    Count: int
    /// What this process may use: the machine's, or fewer by its affinity or its cgroup's limit.
    Processors: int
    Source: Source
}

/// Long enough to tell a busy processor from an idle one.
let private moment = TimeSpan.FromMilliseconds 100.0

/// Ticks that all processors were idle, and all ticks; none where the system does not tell.
let private ticks () =
    try
        let numbers =
            (File.ReadLines "/proc/stat" |> Seq.head).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..]
            |> Array.map (fun text -> Int64.Parse(text, CultureInfo.InvariantCulture))

        // idle, and waiting for a disk
        Some(numbers[3] + numbers[4], Array.sum numbers[..7])
    with
    | :? IOException
    | :? UnauthorizedAccessException
    | :? FormatException
    | :? IndexOutOfRangeException -> None

/// Processors of the machine that are idle just now; none where the system does not tell.
let private idle () =
    match ticks () with
    | None -> None
    | Some(idleBefore, allBefore) ->
        Thread.Sleep moment

        ticks ()
        |> Option.bind (fun (idleAfter, allAfter) ->
            if allAfter > allBefore then
                let share = float (idleAfter - idleBefore) / float (allAfter - allBefore)
                // a line of /proc/stat for each, also of those that this process may not use
                let machine =
                    File.ReadLines "/proc/stat" |> Seq.filter _.StartsWith("cpu") |> Seq.length

                Some(share * float (machine - 1))
            else
                None)

/// The idle processors; where others use them, half of all at least, which is the share of one process beside another.
let ofFree processors (free: float) =
    let fair = (processors + 1) / 2
    max fair (min processors (int (Math.Round free)))

/// `asked` is what the command line or a variable says.
let choose (asked: string option) : Result<Threads, StageError> =
    let processors = Environment.ProcessorCount

    match asked with
    | Some text ->
        match Int32.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture) with
        | true, count when count >= 1 && count <= 4096 ->
            Ok {
                Count = count
                Processors = processors
                Source = Source.Asked
            }
        | _ -> Error(Usage $"--threads: expected a whole number from 1 to 4096, got '{text}'")
    | None ->
        let free = idle () |> Option.defaultValue (float processors)

        Ok {
            Count = ofFree processors free
            Processors = processors
            Source = Source.Machine free
        }

/// Of several ranks on this machine each has its part, unless the launcher gave each its own processors.
let ofRanks (ranks: int) (threads: Threads) : Threads =
    let machine =
        try
            File.ReadLines "/proc/stat"
            |> Seq.filter (fun line -> line.StartsWith "cpu" && line.Length > 3 && Char.IsAsciiDigit line[3])
            |> Seq.length
        with
        | :? IOException
        | :? UnauthorizedAccessException -> threads.Processors

    match threads.Source with
    | Source.Machine _ when ranks > 1 ->
        let own =
            if threads.Processors * ranks <= machine then
                threads.Processors
            else
                threads.Processors / ranks

        { threads with Count = max 1 own }
    | _ -> threads

/// In words, for people.
let describe (threads: Threads) =
    let why =
        match threads.Source with
        | Source.Asked -> "as asked"
        | Source.Machine free ->
            let free = free.ToString("F1", CultureInfo.InvariantCulture)
            $"{free} processors are free"

    $"{threads.Count} of {threads.Processors} processors ({why})"

/// Ranks that are threads of the tests' process: everything but the transport is as with MPI.
module DQ.Tests.Parallel.Threads

open System
open System.Threading
open System.Threading.Tasks
open DQ.Core.Parallel

/// Where the threads meet: each leaves something, and takes what all left.
type private Meeting(count: int) =
    let barrier = new Barrier(count)
    let left: (obj | null)[] = Array.zeroCreate count
    // for the others' part of a step; one that failed never comes
    let patience = TimeSpan.FromMinutes 2.0

    let wait () =
        if not (barrier.SignalAndWait patience) then
            failwith "another rank did not come"

    member _.Exchange(rank: int, value: 'a) : 'a[] =
        left[rank] <- box value
        wait ()
        let all = Array.map unbox<'a> left
        wait ()
        all

type private ThreadRanks(meeting: Meeting, rank: int, count: int) =
    interface IRanks with
        member _.Rank = rank
        member _.Count = count
        member _.Hosts = [| for _ in 1..count -> "here" |]

        member _.Sum(values: Span<float32>) =
            let all = meeting.Exchange(rank, values.ToArray())
            values.Clear()

            for addends in all do
                for at in 0 .. values.Length - 1 do
                    values[at] <- values[at] + addends[at]

        member _.Sum(values: Span<float>) =
            let all = meeting.Exchange(rank, values.ToArray())
            values.Clear()

            for addends in all do
                for at in 0 .. values.Length - 1 do
                    values[at] <- values[at] + addends[at]

        member _.Broadcast(bytes: Span<byte>) =
            let all = meeting.Exchange(rank, bytes.ToArray())
            all[0].AsSpan().CopyTo bytes

        member _.Gather(bytes: ReadOnlySpan<byte>) = meeting.Exchange(rank, bytes.ToArray())
        member _.Await() = meeting.Exchange(rank, ()) |> ignore
        member _.Abort _ = failwith "a rank aborted"
        member _.Dispose() = ()

/// So many ranks that belong together.
let ranks count : IRanks list =
    let meeting = Meeting count
    [ for rank in 0 .. count - 1 -> new ThreadRanks(meeting, rank, count) ]

/// The same work on each rank at the same time.
let together (work: IRanks -> 'a) (ranks: IRanks list) : 'a list =
    let tasks = [
        for rank in ranks -> Task.Factory.StartNew((fun () -> work rank), TaskCreationOptions.LongRunning)
    ]

    Task.WaitAll [| for task in tasks -> task :> Task |]
    tasks |> List.map _.Result

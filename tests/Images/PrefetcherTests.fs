module DQ.Tests.Images.PrefetcherTests

open System
open System.Threading
open Expecto
open DQ.Core.Images

type private Item(n: int64, onDispose: unit -> unit) =
    member _.N = n

    interface IDisposable with
        member _.Dispose() = onDispose ()

[<Tests>]
let tests =
    testList "Images.Prefetcher" [
        test "gives its items in order from the first" {
            use prefetcher = new Prefetcher<Item>((fun n -> new Item(n, ignore)), 5L)
            Expect.equal [ for _ in 1..20 -> prefetcher.Next().N ] [ 5L .. 24L ] "numbers"
        }

        test "a failure surfaces in its turn, and again" {
            let make n =
                if n = 3L then invalidOp "broken" else new Item(n, ignore)

            use prefetcher = new Prefetcher<Item>(make, 0L)
            Expect.equal [ for _ in 0..2 -> prefetcher.Next().N ] [ 0L; 1L; 2L ] "what was made before"

            for _ in 1..2 do
                Expect.throwsC (fun () -> prefetcher.Next() |> ignore) (fun problem ->
                    Expect.equal problem.Message "broken" "message")
        }

        test "runs a bounded number ahead and disposes what nobody took" {
            let mutable made = 0
            let mutable disposed = 0

            let make n =
                Interlocked.Increment &made |> ignore
                new Item(n, (fun () -> Interlocked.Increment &disposed |> ignore))

            let prefetcher = new Prefetcher<Item>(make, 0L, 3)
            prefetcher.Next() |> ignore

            let ahead =
                SpinWait.SpinUntil((fun () -> Volatile.Read &made >= 5), TimeSpan.FromMinutes 5.0)

            Expect.isTrue ahead "one taken, three ready, one in hand"
            // time in which one that knows no bound would make more
            Thread.Sleep 50
            prefetcher.Dispose()
            Expect.equal made 5 "and no more"
            Expect.equal disposed 4 "all but the one taken"
            Expect.throwsT<ObjectDisposedException> (fun () -> prefetcher.Next() |> ignore) "after closing"
        }
    ]

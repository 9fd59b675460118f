module DQ.Tests.Parallel.SharingTests

open Expecto
open FsCheck
open DQ.Core.Parallel

let private variables (pairs: (string * string) list) name =
    pairs |> List.tryFind (fst >> (=) name) |> Option.map snd |> Option.toObj

[<Tests>]
let tests =
    testList "Parallel.Sharing" [
        testProperty "shares follow one another, leave nothing out, and differ by one at most"
        <| fun (PositiveInt ranks) (NonNegativeInt more) ->
            let things = ranks + more
            let shares = [ for rank in 0 .. ranks - 1 -> Share.OfRank(things, rank, ranks) ]

            Expect.equal
                (shares
                 |> List.collect (fun share -> [ share.First .. share.First + share.Count - 1 ]))
                [ 0 .. things - 1 ]
                "in order"

            let counts = shares |> List.map _.Count
            Expect.isLessThanOrEqual (List.max counts - List.min counts) 1 "alike"

        test "places of a rank are those of its part of each micro-batch" {
            let ranks = Threads.ranks 2

            let places rank =
                (nonNull (Sharing.OfStep(List.item rank ranks, 12, 2))).Places 2
            // micro-batches of 6 images: 0 … 5 and 6 … 11
            Expect.sequenceEqual (places 0) [ 0; 1; 2; 6; 7; 8 ] "rank 0"
            Expect.sequenceEqual (places 1) [ 3; 4; 5; 9; 10; 11 ] "rank 1"
        }

        testProperty "each row is on one rank, where it has the place that the rank's own order gives it"
        <| fun (PositiveInt ranks) (NonNegativeInt more) (PositiveInt perImage) (PositiveInt micros) ->
            let images, perImage, micros = ranks + more % 7, 1 + perImage % 5, 1 + micros % 4

            let found = [
                for rank in 0 .. ranks - 1 do
                    let share = Share.OfRank(images, rank, ranks)
                    let own = int64 (share.Count * perImage * micros)
                    let rows = Sharing(OneProcess.Instance, share).Rows(int64 perImage, own)
                    Expect.equal rows.Total (int64 (images * perImage * micros)) "in all"

                    let mine = [
                        for row in 0L .. rows.Total - 1L do
                            if rows.Local row >= 0L then
                                row, rows.Local row
                    ]

                    Expect.equal (List.map snd mine) [ 0L .. own - 1L ] "in the rank's order"
                    yield! List.map fst mine
            ]

            Expect.equal (List.sort found) [ 0L .. int64 (images * perImage * micros) - 1L ] "each once"

        test "a step of fewer images than ranks is refused" {
            let rank = List.head (Threads.ranks 4)
            Expect.throwsT<System.ArgumentException> (fun () -> Sharing.OfStep(rank, 6, 2) |> ignore) "3 of 4"
            Expect.isNull (Sharing.OfStep(OneProcess.Instance, 1, 1)) "one process shares nothing"
        }

        test "what started a process is read from the environment" {
            let launch pairs =
                Launch.Of(variables pairs) |> Option.ofObj

            Expect.isNone (launch []) "nobody"
            Expect.isNone (launch [ "SLURM_PROCID", "0"; "SLURM_NTASKS", "4" ]) "a batch script is one process"
            Expect.isNone (launch [ "OMPI_COMM_WORLD_SIZE", "1" ]) "one process of Open MPI"

            Expect.equal
                (launch [ "OMPI_COMM_WORLD_SIZE", "2" ] |> Option.map _.Tasks)
                (Some(System.Nullable 2))
                "Open MPI"

            Expect.isTrue (launch [ "PMI_SIZE", "3"; "PMI_RANK", "0" ]).Value.IsOfHydra "MPICH"

            Expect.equal
                (launch [ "SLURM_STEP_ID", "0"; "SLURM_STEP_NUM_TASKS", "8" ]).Value.Launcher
                "srun"
                "a step of a job"
        }
    ]

/// Claims on cells: one owner at a time, whoever dies, sleeps or hesitates.
module DQ.Tests.Sweeps.ClaimsTests

open System
open System.Diagnostics
open System.IO
open System.Threading
open Expecto
open DQ.Core.Artifacts
open DQ.Pipeline.Sweeps
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program

let private claimFile folder (number: int) =
    Path.Combine(folder, $"claim-{number:D4}.json")

let private claims folder =
    Directory.GetFiles(folder, "claim-*.json").Length

let private dispose (claim: Claim) = (claim :> IDisposable).Dispose()

let private take folder =
    match Claim.TryTake folder with
    | Some claim -> claim
    | None -> failtest "expected to get the cell"

let private ownedBy host processId (started: DateTime) (heartbeat: DateTime) =
    ClaimRecord(1, LockRecord(1, processId, started, host, heartbeat), heartbeat, Nullable())

[<Tests>]
let tests =
    testList "Sweeps.Claims" [
        test "a claimed cell is refused until it is released" {
            inFolder (fun folder ->
                let claim = take folder
                Expect.isNone (Claim.TryTake folder) "held"
                dispose claim

                match Claim.Latest folder with
                | Some record -> Expect.isTrue record.ReleasedUtc.HasValue "says when"
                | None -> failtest "expected the claim to stay"

                dispose (take folder)
                Expect.equal (claims folder) 2 "each claim is a file, and stays")
        }

        test "a dead claim goes to one of those who find it" {
            let now = DateTime.UtcNow
            use self = Process.GetCurrentProcess()

            let dead = [
                "a process that ended", ownedBy Environment.MachineName Int32.MaxValue now now
                "a process id used again", ownedBy Environment.MachineName self.Id (now.AddDays -1.0) now
                "no heartbeat from another host", ownedBy "elsewhere" 1 now (now - LockRecord.StaleAfter * 2.0)
            ]

            for what, record in dead do
                for _ in 1..20 do
                    inFolder (fun folder ->
                        ArtifactJson.Write(claimFile folder 1, record)
                        use together = new Barrier(8)

                        let winners = ResizeArray()

                        let ask () =
                            together.SignalAndWait()

                            match Claim.TryTake folder with
                            | Some claim -> lock winners (fun () -> winners.Add claim)
                            | None -> ()

                        let askers = [ for _ in 1..8 -> Thread ask ]

                        for asker in askers do
                            asker.Start()

                        for asker in askers do
                            asker.Join()

                        Expect.hasLength winners 1 what
                        Seq.iter dispose winners)
        }

        test "an owner on another host counts while its heart beats" {
            inFolder (fun folder ->
                let now = DateTime.UtcNow
                // a heartbeat that stays young, however long this test is held up
                ArtifactJson.Write(claimFile folder 1, ownedBy "elsewhere" 1 now (now.AddHours 1.0))
                Expect.isNone (Claim.TryTake folder) "alive")
        }

        test "a claim cut short while it was written counts for a while, and then no longer" {
            inFolder (fun folder ->
                File.WriteAllText(claimFile folder 1, "{ \"sche")
                File.SetLastWriteTimeUtc(claimFile folder 1, DateTime.UtcNow.AddHours 1.0)
                Expect.isNone (Claim.TryTake folder) "its maker may be writing it"
                File.SetLastWriteTimeUtc(claimFile folder 1, DateTime.UtcNow - LockRecord.StaleAfter * 2.0)
                dispose (take folder))
        }

        test "who was taken for dead and is not learns that the cell is another's" {
            inFolder (fun folder ->
                let claim = take folder
                // what another host does that saw no heartbeat
                ArtifactJson.Write(claimFile folder 2, ownedBy "elsewhere" 1 DateTime.UtcNow DateTime.UtcNow)
                Expect.isTrue (claim.Lost.WaitHandle.WaitOne patience) "at a heartbeat"
                dispose claim)
        }
    ]

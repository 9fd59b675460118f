module DQ.Tests.Pipeline.StoreTests

open System
open System.Diagnostics
open System.IO
open System.Threading
open System.Text.Json.Nodes
open DQ.Tests.Pipeline.Program
open Expecto
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open DQ.Tests.TemporaryFolder

let private opened folder =
    match Store.openAt folder with
    | Ok store -> store
    | Error error -> failtestf "%A" error

let private newRecord fingerprint id =
    RunRecord(
        Id = id,
        Name = "test",
        Status = RunStatus.Running,
        Fingerprint = fingerprint,
        Seed = 0L,
        Config = JsonObject(),
        Parents = [||],
        Software = SoftwareRecord("", "", "", "", ""),
        Device = "cpu",
        Threads = 1,
        StartedUtc = DateTime.UtcNow,
        UpdatedUtc = DateTime.UtcNow,
        Steps = 10L
    )

let private isCompleted _ (record: RunRecord) = record.Status = RunStatus.Completed

let private claim store fingerprint =
    Store.claim store "a name/with a slash" fingerprint false isCompleted (newRecord fingerprint)

let private fresh store fingerprint =
    match claim store fingerprint with
    | Ok(Fresh(folder, record, held)) -> folder, record, held
    | other -> failtestf "expected a new run, got %A" other

let private dispose (held: RunLock) = (held :> IDisposable).Dispose()

[<Tests>]
let tests =
    testList "Pipeline.Store" [
        test "a run is found by its fingerprint, resumed while unfinished, reused when completed" {
            inFolder (fun root ->
                let store = opened root
                let folder, record, held = fresh store "one"
                dispose held

                match claim store "one" with
                | Ok(Resumed(again, _, held)) ->
                    Expect.equal again folder "the same folder"
                    dispose held
                | other -> failtestf "expected to go on, got %A" other

                Store.save folder (record.Ended(RunStatus.Completed, null, DateTime.UtcNow))

                match claim store "one" with
                | Ok(Finished(again, _)) -> Expect.equal again folder "the finished one"
                | other -> failtestf "expected the finished run, got %A" other

                let other, _, held = fresh store "two"
                dispose held
                Expect.notEqual other folder "another fingerprint, another run"

                match Store.claim store "test" "one" true isCompleted (newRecord "one") with
                | Ok(Fresh(forced, _, held)) ->
                    Expect.notEqual forced folder "--force begins beside the old one"
                    dispose held
                | other -> failtestf "expected a new run, got %A" other)
        }

        test "a run that someone works on is refused, and shows as running" {
            inFolder (fun root ->
                let store = opened root
                let folder, record, held = fresh store "one"

                match claim store "one" with
                | Error(Busy message) -> Expect.stringContains message (string Environment.ProcessId) "who"
                | other -> failtestf "expected to be refused, got %A" other

                Expect.equal (Store.status folder record) RunStatus.Running "alive"
                dispose held
                Expect.equal (Store.status folder record) RunStatus.Interrupted "nobody works on it"
                Expect.isFalse (File.Exists(Path.Combine(folder, RunLayout.Lock))) "the lock is gone")
        }

        test "a lock whose owner is gone is taken over" {
            inFolder (fun root ->
                let store = opened root
                let folder, record, held = fresh store "one"
                dispose held
                let lockFile = Path.Combine(folder, RunLayout.Lock)
                let now = DateTime.UtcNow
                use self = Process.GetCurrentProcess()

                let owners = [
                    "a process id used again", LockRecord(1, self.Id, now.AddDays -1.0, Environment.MachineName, now)
                    "a process that ended", LockRecord(1, Int32.MaxValue, now, Environment.MachineName, now)
                    "no heartbeat from another host",
                    LockRecord(1, 1, now, "elsewhere", now - LockRecord.StaleAfter * 2.0)
                ]

                for what, owner in owners do
                    ArtifactJson.Write(lockFile, owner)
                    Expect.equal (Store.status folder record) RunStatus.Interrupted what

                    match claim store "one" with
                    | Ok(Resumed(_, _, held)) -> dispose held
                    | other -> failtestf "%s: expected to take over, got %A" what other

                // a heartbeat that stays young, however long this test is held up
                ArtifactJson.Write(lockFile, LockRecord(1, 1, now, "elsewhere", now.AddHours 1.0))

                match claim store "one" with
                | Error(Busy message) -> Expect.stringContains message "elsewhere" "alive on another host"
                | other -> failtestf "expected to be refused, got %A" other)
        }

        test "two that ask at once get one run" {
            inFolder (fun root ->
                let store = opened root
                let claims = Array.Parallel.init 8 (fun _ -> claim store "one")

                let fresh =
                    claims
                    |> Array.filter (function
                        | Ok(Fresh _) -> true
                        | _ -> false)

                let busy =
                    claims
                    |> Array.filter (function
                        | Error(Busy _) -> true
                        | _ -> false)

                Expect.equal (fresh.Length, busy.Length) (1, 7) "one makes it, the others are refused"

                for claim in claims do
                    match claim with
                    | Ok(Fresh(_, _, held)) -> dispose held
                    | _ -> ())
        }

        test "of several that take a dead owner's lock over at once, exactly one wins" {
            inFolder (fun root ->
                let store = opened root
                let folder, _, held = fresh store "one"
                dispose held

                let dead =
                    LockRecord(1, Int32.MaxValue, DateTime.UtcNow, Environment.MachineName, DateTime.UtcNow)

                for round in 1..20 do
                    ArtifactJson.Write(Path.Combine(folder, RunLayout.Lock), dead)
                    use barrier = new Barrier 4
                    let taken = Array.zeroCreate 4

                    let threads = [
                        for i in 0..3 ->
                            Thread(fun () ->
                                barrier.SignalAndWait()
                                taken[i] <- Some(RunLock.Take folder))
                    ]

                    for thread in threads do
                        thread.Start()

                    for thread in threads do
                        thread.Join()

                    let winners =
                        taken
                        |> Array.choose (function
                            | Some(Ok held) -> Some held
                            | _ -> None)

                    Expect.hasLength winners 1 $"round {round}"
                    dispose winners[0])
        }

        test "an owner that lost its lock neither writes nor takes the lock from the new one" {
            inFolder (fun root ->
                let store = opened root
                let folder, _, held = fresh store "one"
                let lockFile = Path.Combine(folder, RunLayout.Lock)
                let mutable writes = 0
                held.Guarded(fun () -> held.Guarded(fun () -> writes <- writes + 1))
                Expect.equal writes 1 "its owner writes"

                let other =
                    LockRecord(1, 1, DateTime.UtcNow, "elsewhere", DateTime.UtcNow, "another")

                ArtifactJson.Write(lockFile, other)

                Expect.throwsT<LockLostException> (fun () -> held.Guarded(fun () -> writes <- writes + 1)) "it notices"

                dispose held
                Expect.equal writes 1 "and does not write"
                Expect.equal (ArtifactJson.Read<LockRecord> lockFile) other "the new owner's lock is as it was"

                ArtifactJson.Write(lockFile, other.At(DateTime.UtcNow.AddDays -1.0))
                File.WriteAllText(Path.Combine(folder, "run.json.x.tmp"), "torn")

                match RunLock.Take folder with
                | Ok held -> dispose held
                | Error error -> failtestf "%A" error

                Expect.isEmpty (Directory.GetFiles(folder, "*.tmp")) "what a dead owner left half-written is gone")
        }

        test "an artifacts folder whose parent is a file is one clear error" {
            inFolder (fun root ->
                let file = Path.Combine(root, "file")
                File.WriteAllText(file, "")

                match Store.openAt (Path.Combine(file, "artifacts")) with
                | Error(Storage message as error) ->
                    Expect.stringContains message file "names the folder"
                    Expect.equal (StageError.exitCode error) 3 "exit code"
                | other -> failtestf "expected a storage error, got %A" other)
        }

        test "a run of an unknown schema version is refused with the version named, the others still listed" {
            inFolder (fun root ->
                let store = opened root
                let folder, record, held = fresh store "one"
                dispose held
                let _, _, held = fresh store "two"
                dispose held
                let file = Path.Combine(folder, RunLayout.Run)
                File.WriteAllText(file, File.ReadAllText(file).Replace("\"schema\": 1", "\"schema\": 99"))

                match Store.find store ignore record.Id with
                | Error(Data message) ->
                    Expect.stringContains message "99" "the version"
                    Expect.stringContains message file "the file"
                | other -> failtestf "expected a refusal, got %A" other

                Expect.equal (Store.list store |> List.filter _.Record.IsOk |> List.length) 1 "the other run"

                // it may be the very run that is asked for
                match claim store "three" with
                | Error(Data message) ->
                    Expect.stringContains message "99" "the version"
                    Expect.stringContains message file "the file"
                | other -> failtestf "expected a refusal, got %A" other

                for name, fingerprint, force in
                    [
                        "another name", "three", false
                        "a name/with a slash", "two", false
                        "a name/with a slash", "three", true
                    ] do
                    match Store.claim store name fingerprint force isCompleted (newRecord fingerprint) with
                    | Ok(Fresh(_, _, held))
                    | Ok(Resumed(_, _, held)) -> dispose held
                    | other -> failtestf "%s %s: expected a run, got %A" name fingerprint other)
        }

        test "a store that is not there has no runs, and reading it does not make it" {
            inFolder (fun root ->
                let store = Store.at (Path.Combine(root, "artifacts"))
                Expect.isEmpty (Store.list store) "no runs"
                Expect.isFalse (Directory.Exists store.Root) "nothing was made")
        }

        test "a log is cut to the recorded length and goes on from there" {
            inFolder (fun root ->
                let file = Path.Combine(root, "log.jsonl")

                let line step =
                    EventRecord(Kind = "step_skipped", Step = step, Message = "é")

                let length =
                    use log = new AppendLog(file, 0L)
                    log.Append(line 1L)
                    let length = log.Length
                    log.Append(line 2L)
                    length

                File.AppendAllText(file, "{\"torn\":")

                let append () =
                    use log = new AppendLog(file, length)
                    log.Append(line 3L)

                append ()

                let steps =
                    File.ReadAllLines file
                    |> Array.map (fun text -> int (nonNull (nonNull (JsonNode.Parse text)).["step"]))

                Expect.equal steps [| 1; 3 |] "no line lost, doubled or torn"

                Expect.throwsT<ArtifactException>
                    (fun () -> new AppendLog(file, 10_000L) |> ignore)
                    "shorter than recorded")
        }

        test "a process that ended, and whose parent does not ask how, owns nothing" {
            if not (OperatingSystem.IsLinux()) then
                skiptest "/proc is Linux's"

            // sleep takes the shell's place, and knows nothing of the shell's child, which lives until a line comes
            let start =
                ProcessStartInfo("/bin/sh", [ "-c"; "exec 3<&0; (read -r line <&3) & echo $!; exec sleep 1000" ])

            start.RedirectStandardInput <- true
            start.RedirectStandardOutput <- true
            use parent = nonNull (Process.Start start)

            try
                let id = int (nonNull (parent.StandardOutput.ReadLine()))
                use child = Process.GetProcessById id
                let now = DateTime.UtcNow

                let owner =
                    LockRecord(1, id, child.StartTime.ToUniversalTime(), Environment.MachineName, now)

                Expect.isTrue (owner.HasLivingOwner now) "it waits for a line"
                parent.StandardInput.WriteLine()
                parent.StandardInput.Flush()
                Expect.isTrue (waitFor parent (fun () -> not (owner.HasLivingOwner now))) "it ended"
                Expect.isTrue (Directory.Exists $"/proc/{id}") "and is still listed"
            finally
                parent.Kill()
        }
    ]

module DQ.Tests.Pipeline.HostTests

open System
open System.IO
open System.Net
open System.Net.Sockets
open System.Text.Json
open System.Text.Json.Nodes
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Host
open DQ.Tests.Pipeline.Program
open DQ.Tests.TemporaryFolder
open Expecto

let private disk = {
    FreeBytes = 100_000_000_000L
    TotalBytes = 200_000_000_000L
    FileSystem = "ext4"
    IsNetwork = false
}

let private asNode (record: SoftwareRecord) =
    nonNull (JsonNode.Parse(JsonSerializer.Serialize(record, ArtifactJson.Options)))

[<Tests>]
let tests =
    testList "Host" [
        test "version and commit stand together where there is a commit" {
            Expect.isMatch Workplace.versionText @"^\d+\.\d+\.\d+( \([0-9a-f]{7}\))?$" "for people"
            let said = run [ "--version" ]
            Expect.equal said.Output $"dq {Workplace.versionText}\n" "of the program"
        }
        test "a record of software has a commit, or says nothing of one" {
            let without = asNode (SoftwareRecord("0.1.0", "a", "b", "c", "d"))
            Expect.isFalse ((without.AsObject()).ContainsKey "commit") "absent"

            let read =
                nonNull (JsonSerializer.Deserialize<SoftwareRecord>(without.ToJsonString(), ArtifactJson.Options))

            Expect.isNull read.Commit "records of earlier versions are read"
            let commit = String('a', 40)
            let record = SoftwareRecord("0.2.0", "a", "b", "c", "d", commit)
            Expect.equal (string (asNode record).["commit"]) commit "written"
        }
        test "a port that is taken is a problem, and named" {
            use taken = new TcpListener(IPAddress.Loopback, 0)
            taken.Start()
            let port = (taken.LocalEndpoint :?> IPEndPoint).Port

            match SiteProgram.listeningProblem $"http://127.0.0.1:0;http://localhost:{port}" with
            | Some problem -> Expect.stringStarts problem $"http://localhost:{port}: " "which"
            | None -> failtest "two can't listen on one port"

            taken.Stop()
            Expect.isNone (SiteProgram.listeningProblem $"http://localhost:{port}") "free again"
            Expect.isNone (SiteProgram.listeningProblem "http://*:0") "all addresses"

            match SiteProgram.listeningProblem "here" with
            | Some problem -> Expect.stringContains problem SiteProgram.DefaultUrls "what is expected"
            | None -> failtest "no address"
        }
        test "the site listens where the program says" {
            Expect.equal SiteProgram.DefaultUrls DQ.Reports.Hosting.SiteSettings.DefaultUrls "one default"
        }
        test "a nearly full disk and a network file system are worth a line" {
            Expect.isEmpty (Disk.warnings disk) "neither"

            let full = Disk.warnings { disk with FreeBytes = 2_000_000_001L }
            Expect.stringContains (List.exactlyOne full) "nearly full (1.0 % free)" "a share"

            let small =
                Disk.warnings {
                    disk with
                        FreeBytes = 1_000_000_000L
                        TotalBytes = 4_000_000_000L
                }

            Expect.stringContains (List.exactlyOne small) "nearly full (25.0 % free)" "bytes"

            let shared =
                Disk.warnings {
                    disk with
                        FileSystem = "nfs4"
                        IsNetwork = true
                }

            Expect.stringContains (List.exactlyOne shared) "network file system (nfs4)" "its name"
        }
        test "the disk of a folder that is not there yet is that of the one above" {
            inFolder (fun folder ->
                let found = Disk.ofFolder (Path.Combine(folder, "a", "b"))
                Expect.equal found.TotalBytes (Disk.ofFolder folder).TotalBytes "the same disk"
                Expect.isGreaterThan found.TotalBytes found.FreeBytes "some of it is used")
        }
        test "doctor and schema have a help of their own" {
            let doctor = run [ "doctor"; "--help" ]
            Expect.stringStarts doctor.Output "USAGE: dq doctor " "doctor"
            Expect.stringContains doctor.Output "dq doctor --json" "its example"
            let schema = run [ "schema"; "--help" ]
            Expect.stringStarts schema.Output "USAGE: dq schema " "schema"
        }
        test "doctor says whether the site can be served" {
            use taken = new TcpListener(IPAddress.Loopback, 0)
            taken.Start()
            let urls = $"http://127.0.0.1:{(taken.LocalEndpoint :?> IPEndPoint).Port}"
            let found = run [ "doctor"; "--json"; "--urls"; urls ]
            Expect.equal found.ExitCode 0 found.Errors
            let tree = nonNull (JsonNode.Parse found.Output)
            Expect.equal (string tree["site_urls"]) urls "where"
            Expect.isFalse ((nonNull tree["site_urls_free"]).GetValue<bool>()) "not free"
            Expect.stringContains (string tree["advice"]) "--urls" "what to do"
            Expect.isNotEmpty (string tree["site"]) "where the site's program is"
            Expect.isNotEmpty (string tree["file_system"]) "of the artifacts"
        }
        test "schema writes a file" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "dq.schema.json")
                let written = run [ "schema"; "-o"; file ]
                Expect.equal written.ExitCode 0 written.Errors
                Expect.equal (File.ReadAllText file) (run [ "schema" ]).Output "what it prints")
        }
    ]

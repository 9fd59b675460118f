/// The scripts of configs/cluster/ under a real Slurm of this one machine. Where it can't be started they are skipped, and say so.
module DQ.Tests.Parallel.SlurmTests

open System
open System.Diagnostics
open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program
open DQ.Tests.Parallel.Mpi
open DQ.Tests.Parallel.TinyRuns

let private tools = [
    "/usr/sbin/slurmctld"
    "/usr/sbin/slurmd"
    "/usr/sbin/munged"
    "/usr/bin/sbatch"
]

let private cluster (action: string) (folder: string) =
    let script = Path.Combine(repository, "tests", "Slurm", "cluster")
    finish (startShell $"exec {quoted script} {action} {quoted folder} 2>&1")

/// A script of configs/cluster/, with the lines that a user edits given by variables and options.
let private submitted (cluster: string) (options: string) (variables: (string * string) list) (script: string) =
    let assignments =
        [ for name, value in variables -> $"{name}={quoted value}" ]
        |> String.concat " "

    let path = Path.Combine(repository, "configs", "cluster", script)
    let output = Path.Combine(cluster, "job-%A-%a.txt")

    let shell =
        $"SLURM_CONF={quoted cluster}/slurm.conf {assignments} exec sbatch --wait {options} -o {quoted output} {quoted path}"

    let finished = finish (startShell shell)

    let said =
        Directory.GetFiles(cluster, "job-*.txt")
        |> Array.map File.ReadAllText
        |> String.concat "\n"

    finished, said

let private withCluster (body: string -> string -> unit) =
    need (List.forall File.Exists tools) "no Slurm: apt-get install slurm-wlm munge"

    inFolder (fun folder ->
        let place = Path.Combine(folder, "slurm")
        let started = cluster "start" place

        if started.ExitCode <> 0 then
            cluster "stop" place |> ignore
            skiptest $"Slurm does not start here: {started.Output}"

        try
            body folder place
        finally
            cluster "stop" place |> ignore)

let private variables file artifacts = [
    "CONFIG", file
    "ARTIFACTS", artifacts
    "DQ", $"dotnet {program}"
    "MPI", "pmi2"
]

[<Tests>]
let tests =
    testSequenced
    <| testList "Parallel.Slurm" [
        test "the array script: a sweep's cells on two tasks" {
            withCluster (fun folder place ->
                let artifacts = Path.Combine(folder, "artifacts")
                let file = Path.Combine(folder, "sweep.json")
                written folder 10L |> ignore

                File.WriteAllText(
                    file,
                    """{ "extends": "tiny.json", "sweep": { "grid": { "model.codebooks": [1, 2] }, "seeds": [0, 1] } }"""
                )

                let finished, said =
                    submitted place "--array=1-2 --cpus-per-task=1" (variables file artifacts) "sweep.slurm"

                Expect.equal finished.ExitCode 0 $"{finished.Errors}{said}"

                let runs = Directory.GetDirectories(Path.Combine(artifacts, RunLayout.Runs))
                Expect.equal runs.Length 4 said

                for run in runs do
                    let record = ArtifactJson.Read<RunRecord>(Path.Combine(run, RunLayout.Run))
                    Expect.equal record.Status RunStatus.Completed record.Id)
        }

        test "the srun script: one training by two tasks" {
            withCluster (fun folder place ->
                needLauncher mpich
                let artifacts = Path.Combine(folder, "artifacts")
                let file = written folder shortSteps

                let finished, said =
                    submitted
                        place
                        "--nodes=1 --ntasks-per-node=2 --cpus-per-task=1"
                        (variables file artifacts)
                        "train.slurm"

                Expect.equal finished.ExitCode 0 $"{finished.Errors}{said}"
                let record = record artifacts
                Expect.equal record.Status RunStatus.Completed said
                isAlike artifacts alone.Value shortSteps)
        }
    ]

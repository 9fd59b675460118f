/// How the processes that a launcher such as mpirun started become one command, and how that command ends.
module DQ.Pipeline.Host.Joining

open System
open System.Threading.Tasks
open DQ.Core.Parallel
open DQ.Pipeline

/// For the other ranks, to come to where this one waits after it was told to stop.
let private patience = TimeSpan.FromSeconds 20.0

/// Open MPI's launcher gives each process a terminal as its standard output, and the runtime would put the sequences that set it up
/// before the result. To be called before anything asks the console.
let plainTerminal () =
    if not (isNull (Launch.OfEnvironment())) then
        Environment.SetEnvironmentVariable("TERM", "dumb")

/// The processes that were started with this one; MPI is not looked for where a launcher started none. All need the same
/// program and command line.
let team (argv: string[]) : Result<Team, StageError> =
    match Launch.OfEnvironment() with
    | null -> Ok Team.Alone
    | launch ->
        try
            let team = Team(MpiRanks.Join launch)

            team.Same("version of dq", Workplace.versionText)
            |> Result.bind (fun () -> team.Same("command line", String.concat " " argv))
            |> Result.map (fun () -> team)
            |> Result.mapError (fun error ->
                // all ranks know, and one says it
                team.Ranks.Dispose()

                if team.Leads then
                    error
                else
                    Several([], StageError.exitCode error))
        with :? MpiException as problem ->
            Error(CheckFailed problem.Message)

/// Ends the process where it waits for ranks that do not come, after it was told to stop.
let watch (interruption: Interruption) (team: Team) =
    match team.Ranks with
    | :? MpiRanks as ranks ->
        interruption.Token.Register(fun () ->
            task {
                do! Task.Delay patience

                while ranks.Waiting < patience do
                    do! Task.Delay 1000

                eprintfn
                    $"dq: {team.Name}: told to stop, and other ranks did not answer for {patience.TotalSeconds} seconds: ended without saving more"

                Abandonment.leave (StageError.exitCode interruption.Reason)
            }
            |> ignore)
        |> ignore
    | _ -> ()

/// Leaves the team with an exit code. Where the others don't know why, they are ended too.
let leave (team: Team) (outcome: Result<unit, StageError>) (exitCode: int) : int =
    if not team.IsAlone then
        if outcome.IsOk || team.HasAgreed then
            team.Ranks.Dispose()
        else
            Console.Error.Flush()
            team.Ranks.Abort exitCode

    exitCode

namespace DQ.Pipeline

open System
open System.Text
open System.Text.Json
open DQ.Core.Artifacts
open DQ.Core.Parallel

/// What ranks tell one another, as JSON. Public, because the serializer asks for it.
module TeamMessages =
    type Failure = { Lines: string list; ExitCode: int }

    /// A value, which may be an option or unit, and so null.
    type Carried<'told> = { Carried: 'told }

    /// A value as JSON, or why there is none.
    type Told = {
        Value: string | null
        Failure: Failure option
    }

open TeamMessages

/// The processes of one command. Rank 0, the leader, decides and writes; the others follow, and compute along. Whatever is
/// told here, all ranks have to ask for in the same order.
type Team(ranks: IRanks) =
    let mutable agreed = false

    let name rank = $"rank {rank} on {ranks.Hosts[rank]}"

    let failure error = {
        Lines = StageError.lines error
        ExitCode = StageError.exitCode error
    }

    let told (text: byte[]) =
        nonNull (JsonSerializer.Deserialize<Told>(ReadOnlySpan text, ArtifactJson.Options))

    let asBytes (told: Told) =
        JsonSerializer.SerializeToUtf8Bytes(told, ArtifactJson.Options)

    let broadcast (own: byte[]) =
        // rank 0 may take long to get here
        ranks.Await()
        let length = BitConverter.GetBytes own.Length
        ranks.Broadcast(Span length)

        let text =
            if ranks.Rank = 0 then
                own
            else
                Array.zeroCreate (BitConverter.ToInt32 length)

        ranks.Broadcast(Span text)
        text

    /// A process of its own.
    static member Alone = Team OneProcess.Instance

    member _.Ranks = ranks

    member _.IsAlone = ranks.Count = 1

    /// Whether this process decides and writes.
    member _.Leads = ranks.Rank = 0

    /// This rank's number among those of its machine.
    member _.Local =
        ranks.Hosts
        |> Seq.truncate ranks.Rank
        |> Seq.filter ((=) ranks.Hosts[ranks.Rank])
        |> Seq.length

    /// How many ranks its machine has.
    member _.OnThisMachine =
        ranks.Hosts |> Seq.filter ((=) ranks.Hosts[ranks.Rank]) |> Seq.length

    /// This rank, for people.
    member _.Name = name ranks.Rank

    /// Whether all ranks know the error that the command ends with. They end by themselves then; after any other one, the rank that
    /// met it has to end the others.
    member _.HasAgreed = agreed

    /// Tells the others what the leader's work gave. An error is theirs from here on.
    member _.Tell (view: 'a -> 'told) (outcome: Result<'a, StageError>) : Result<'a, StageError> =
        if ranks.Count > 1 then
            let word =
                match outcome with
                | Ok value -> {
                    Value = JsonSerializer.Serialize({ Carried = view value }, ArtifactJson.Options)
                    Failure = None
                  }
                | Error error -> {
                    Value = null
                    Failure = Some(failure error)
                  }

            broadcast (asBytes word) |> ignore
            agreed <- agreed || Result.isError outcome

        outcome

    /// Waits for what the leader tells.
    member _.Hear<'told>() : Result<'told, StageError> =
        match told (broadcast [||]) with
        | {
              Failure = Some { Lines = lines; ExitCode = exitCode }
          } ->
            agreed <- true
            Error(Several(lines, exitCode))
        | { Value = value } ->
            let carried =
                JsonSerializer.Deserialize<Carried<'told>>(nonNull value, ArtifactJson.Options)

            Ok (nonNull carried).Carried

    /// What the leader finds out, on all ranks.
    member team.FromLeader(find: unit -> Result<'a, StageError>) : Result<'a, StageError> =
        if ranks.Rank = 0 then
            team.Tell id (find ())
        else
            team.Hear()

    /// The outcome of what each rank did; the error of the first that met one is that of all.
    member _.Agree(outcome: Result<'a, StageError>) : Result<'a, StageError> =
        if ranks.Count = 1 then
            outcome
        else
            let own = {
                Value = null
                Failure =
                    match outcome with
                    | Ok _ -> None
                    | Error error -> Some(failure error)
            }

            let all = ranks.Gather(ReadOnlySpan(asBytes own)) |> Seq.map told |> List.ofSeq

            match all |> List.tryFindIndex _.Failure.IsSome with
            | None -> outcome
            | Some rank ->
                agreed <- true

                match all[rank].Failure, outcome with
                | _, Error error when rank = ranks.Rank -> Error error
                | Some failed, _ ->
                    let lines = failed.Lines |> List.map (fun line -> $"{name rank}: {line}")
                    Error(Several(lines, failed.ExitCode))
                | None, _ -> outcome

    /// An error that all ranks came to by themselves, from the same numbers.
    member _.Concur(error: StageError) : Result<'a, StageError> =
        agreed <- true
        Error error

    /// All ranks have to have the same here, such as a version: an error says which has not.
    member _.Same(what: string, value: string) : Result<unit, StageError> =
        let all =
            ranks.Gather(ReadOnlySpan(Encoding.UTF8.GetBytes value))
            |> Seq.map Encoding.UTF8.GetString
            |> List.ofSeq

        match all |> List.tryFindIndex ((<>) all.Head) with
        | None -> Ok()
        | Some rank ->
            agreed <- true
            Error(Usage $"{name rank}: expected the {what} of rank 0, {all.Head}, got {all[rank]}")

    /// Why any of the ranks is told to stop: asked for, by all, at a moment when all can.
    member _.Stopping(own: StageError option) : StageError option =
        if ranks.Count = 1 then
            own
        else
            let votes =
                match own with
                | None -> [| 0.0; 0.0; 0.0; 0.0 |]
                | Some(TimeUp minutes) -> [| 0.0; 0.0; 1.0; minutes |]
                | Some(Interrupted 2) -> [| 1.0; 0.0; 0.0; 0.0 |]
                | Some _ -> [| 0.0; 1.0; 0.0; 0.0 |]

            ranks.Sum(Span votes)

            let reason =
                if votes[1] > 0.0 then Some(Interrupted 15)
                elif votes[0] > 0.0 then Some(Interrupted 2)
                elif votes[2] > 0.0 then Some(TimeUp(votes[3] / votes[2]))
                else None

            agreed <- agreed || reason.IsSome
            reason

namespace DQ.Pipeline.Training

open System
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Storage

/// The two logs of a run, written under its lock and cut to where the checkpoint that a run goes on from had them.
type Journal(run: RunFile, start: LoopState) =
    let mutable logs: (AppendLog * AppendLog) option = None

    do
        run.Guarded(fun () ->
            logs <-
                Some(
                    new AppendLog(run.Path RunLayout.Metrics, start.MetricsBytes),
                    new AppendLog(run.Path RunLayout.Events, start.EventsBytes)
                ))

    let write (work: AppendLog * AppendLog -> unit) =
        logs |> Option.iter (fun logs -> run.Guarded(fun () -> work logs))

    member _.Metrics(line: MetricsRecord) =
        write (fun (metrics, _) -> metrics.Append line)

    member _.Event(line: EventRecord) =
        write (fun (_, events) -> events.Append line)

    /// The state with the logs' lengths in it, once what they hold is on the disk.
    member _.Mark(state: LoopState) =
        write (fun (metrics, events) ->
            metrics.Persist()
            events.Persist())

        match logs with
        | Some(metrics, events) -> {
            state with
                MetricsBytes = metrics.Length
                EventsBytes = events.Length
          }
        | None -> state

    /// Drops the lines of metrics after this state; what happened stays told.
    member _.CutMetrics(state: LoopState) =
        write (fun (metrics, _) -> metrics.Truncate state.MetricsBytes)

    interface IDisposable with
        member _.Dispose() =
            for metrics, events in Option.toList logs do
                (metrics :> IDisposable).Dispose()
                (events :> IDisposable).Dispose()

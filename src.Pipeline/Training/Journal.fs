namespace DQ.Pipeline.Training

open System
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Storage

/// The two logs of a run, which are written under its lock. When a run continues, they are cut to their lengths at the
/// checkpoint.
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

    /// The state with the logs' lengths, after the logs have been flushed to the disk.
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

    /// Removes the lines of metrics after this state; the events are kept.
    member _.CutMetrics(state: LoopState) =
        write (fun (metrics, _) -> metrics.Truncate state.MetricsBytes)

    interface IDisposable with
        member _.Dispose() =
            for metrics, events in Option.toList logs do
                (metrics :> IDisposable).Dispose()
                (events :> IDisposable).Dispose()

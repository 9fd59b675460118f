namespace DQ.Pipeline.Training

open System
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Storage

/// The two logs of a run, which are written under its lock. When a run continues, they are cut to their lengths at the
/// checkpoint.
type Journal(run: RunFile, start: LoopState) =
    let metrics, events =
        run.Guarded(fun () ->
            new AppendLog(run.Path RunLayout.Metrics, start.MetricsBytes),
            new AppendLog(run.Path RunLayout.Events, start.EventsBytes))

    member _.Metrics(line: MetricsRecord) =
        run.Guarded(fun () -> metrics.Append line)

    member _.Event(line: EventRecord) =
        run.Guarded(fun () -> events.Append line)

    /// The state with the logs' lengths, after the logs have been flushed to the disk.
    member _.Mark(state: LoopState) =
        run.Guarded(fun () ->
            metrics.Persist()
            events.Persist())

        {
            state with
                MetricsBytes = metrics.Length
                EventsBytes = events.Length
        }

    /// Removes the lines of metrics after this state; the events are kept.
    member _.CutMetrics(state: LoopState) =
        run.Guarded(fun () -> metrics.Truncate state.MetricsBytes)

    interface IDisposable with
        member _.Dispose() =
            (metrics :> IDisposable).Dispose()
            (events :> IDisposable).Dispose()

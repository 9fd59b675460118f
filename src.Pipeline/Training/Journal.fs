namespace DQ.Pipeline.Training

open System
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Storage

/// The two logs of a run, written under its lock and cut to where the checkpoint that a run goes on from had them.
type Journal(run: RunFile, start: LoopState) =
    let metrics, events =
        run.Guarded(fun () ->
            new AppendLog(run.Path RunLayout.Metrics, start.MetricsBytes),
            new AppendLog(run.Path RunLayout.Events, start.EventsBytes))

    member _.Metrics(line: MetricsRecord) =
        run.Guarded(fun () -> metrics.Append line)

    member _.Event(line: EventRecord) =
        run.Guarded(fun () -> events.Append line)

    /// The state with the logs' lengths in it, once what they hold is on the disk.
    member _.Mark(state: LoopState) =
        run.Guarded(fun () ->
            metrics.Persist()
            events.Persist())

        {
            state with
                MetricsBytes = metrics.Length
                EventsBytes = events.Length
        }

    /// Drops the lines of metrics after this state; what happened stays told.
    member _.CutMetrics(state: LoopState) =
        run.Guarded(fun () -> metrics.Truncate state.MetricsBytes)

    interface IDisposable with
        member _.Dispose() =
            (metrics :> IDisposable).Dispose()
            (events :> IDisposable).Dispose()

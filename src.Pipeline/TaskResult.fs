namespace DQ.Pipeline

open System
open System.Threading.Tasks

/// Asynchronous work that may fail in an expected way; the first error ends it.
type TaskResultBuilder() =
    member _.Source(work: Task<Result<'a, 'e>>) = work
    member _.Source(outcome: Result<'a, 'e>) = Task.FromResult outcome
    member _.Return(value: 'a) : Task<Result<'a, 'e>> = Task.FromResult(Ok value)
    member _.ReturnFrom(work: Task<Result<'a, 'e>>) = work
    member _.Zero() : Task<Result<unit, 'e>> = Task.FromResult(Ok())
    member _.Delay(work: unit -> Task<Result<'a, 'e>>) = work

    member _.Run(work: unit -> Task<Result<'a, 'e>>) : Task<Result<'a, 'e>> = task { return! work () }

    member _.Bind(work: Task<Result<'a, 'e>>, next: 'a -> Task<Result<'b, 'e>>) : Task<Result<'b, 'e>> =
        task {
            match! work with
            | Ok value -> return! next value
            | Error error -> return Error error
        }

    member this.Combine(first: Task<Result<unit, 'e>>, second: unit -> Task<Result<'a, 'e>>) = this.Bind(first, second)

    member _.Using(resource: 'r, body: 'r -> Task<Result<'a, 'e>>) : Task<Result<'a, 'e>> when 'r :> IDisposable =
        task {
            try
                return! body resource
            finally
                resource.Dispose()
        }

[<AutoOpen>]
module TaskResultBuilder =
    let taskResult = TaskResultBuilder()

module TaskResult =
    let map (view: 'a -> 'b) (work: Task<Result<'a, 'e>>) : Task<Result<'b, 'e>> =
        task {
            let! outcome = work
            return Result.map view outcome
        }

    let ignore (work: Task<Result<'a, 'e>>) : Task<Result<unit, 'e>> = map ignore<'a> work

module List =
    /// Runs the work on each item in turn, up to the first error.
    let traverseTaskResult (work: 'a -> Task<Result<'b, 'e>>) (items: 'a list) : Task<Result<'b list, 'e>> =
        (Task.FromResult(Ok []), items)
        ||> List.fold (fun before item ->
            taskResult {
                let! outputs = before
                let! output = work item
                return output :: outputs
            })
        |> TaskResult.map List.rev

    /// All values, if each exists.
    let allOrNone (values: 'a option list) : 'a list option =
        if List.forall Option.isSome values then
            Some(List.choose id values)
        else
            None

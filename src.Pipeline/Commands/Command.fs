/// What commands share.
module DQ.Pipeline.Commands.Command

open System.Threading.Tasks
open DQ.Pipeline

/// Opens the context stages work with, and shows their progress.
let inContext
    (place: Workplace)
    force
    (work: StageContext -> Task<Result<'a, StageError>>)
    : Task<Result<'a, StageError>> =
    task {
        match Workplace.context place force with
        | Ok context -> return! place.Output.Watch(fun () -> work context)
        | Error error -> return Error error
    }

/// One after the other, up to the first error.
let rec inTurn (work: 'a -> Task<Result<'b, StageError>>) (items: 'a list) : Task<Result<'b list, StageError>> =
    task {
        match items with
        | [] -> return Ok []
        | item :: rest ->
            match! work item with
            | Error error -> return Error error
            | Ok first ->
                let! others = inTurn work rest
                return others |> Result.map (fun others -> first :: others)
    }

/// The variants of a configuration file, or the one asked for.
let variants file assignments (only: string option) : Result<Variant list, StageError> =
    match Config.load file assignments, only with
    | Ok variants, Some name ->
        match variants |> List.filter (fun variant -> variant.Variant = name) with
        | [] ->
            let known = variants |> List.map _.Variant |> String.concat ", "
            Error(Usage $"--variant {name}: {file} has {known}")
        | chosen -> Ok chosen
    | result, _ -> result

/// An action on the outcome, when there is one.
let finish (act: 'a -> unit) (work: Task<Result<'a, StageError>>) : Task<Result<unit, StageError>> =
    task {
        let! outcome = work
        return Result.map act outcome
    }

/// From the configured images to a packed data set, opened and checked.
module DQ.Pipeline.Prepare

open System.IO
open System.Threading.Tasks
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling

let private name (config: DataConfig) =
    match config.Path with
    | NonNull path when config.Source = SourceKind.Folder ->
        Path.GetFileNameWithoutExtension(Path.TrimEndingDirectorySeparator path)
        |> string
    | _ -> config.Source.Name

/// Where the data set of this fingerprint is, or will be.
let folder (store: Store) (config: DataConfig) (fingerprint: string) =
    Path.Combine(store.Root, "datasets", $"{name config}-{fingerprint[..11]}")

let stage: Stage<DataConfig, Dataset> = {
    Name = "ingest"
    Fingerprint = Ingest.fingerprintInputs
    Find =
        fun context fingerprint config ->
            let folder = folder context.Store config fingerprint

            if Directory.Exists folder then
                Dataset.open' folder |> Result.map Some
            else
                Ok None
    Run =
        fun context fingerprint config ->
            Task.Run(fun () ->
                let folder = folder context.Store config fingerprint

                let progress finished total =
                    context.Progress {
                        Title = $"ingest {name config}"
                        Done = int64 finished
                        Total = int64 total
                        Unit = "images"
                        Loss = None
                        ImagesPerSecond = None
                    }

                result {
                    let! record = Ingest.run config (name config) folder progress context.Cancellation

                    for corrupt in record.CorruptImages do
                        context.Note $"{corrupt.Name}: left out: {corrupt.Problem}"

                    for note in record.Notes do
                        context.Note note

                    return! Dataset.open' folder
                })
}

/// `dq classify RUN --predict IMAGE…`: what a trained classifier says of single images.
module DQ.Pipeline.Commands.Predict

open System.IO
open DQ.Core.Artifacts
open DQ.Core.Classification
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Data
open DQ.Pipeline.Numbers
open DQ.Pipeline.Stages
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

/// The record of the images that a run was trained on: their shape and the names of their classes.
let private datasetOf (store: Store) (folder: string) (record: RunRecord) =
    match record.Parents |> Seq.tryFind (fun parent -> parent.Kind = "dataset") with
    | None -> Error(Data $"{folder}: expected a data set among its parents, found none")
    | Some parent ->
        let file =
            Path.Combine(store.Root, RunLayout.Datasets, parent.Id, DatasetRecord.FileName)

        try
            Ok(ArtifactJson.Read<DatasetRecord> file)
        with :? ArtifactException as error ->
            Error(Data error.Message)

/// The classes of each image, the likeliest first, so many.
let run (place: Workplace) (id: string) (images: string list) (count: int) =
    result {
        if count < 1 then
            return! Error(Usage $"--top: expected a number of at least 1, got {count}")

        let! folder, record = Command.runNamed place id

        if record.Kind <> RunKind.Classify then
            return! Error(Data $"{record.Id}: expected a run of dq classify, found one of dq {record.Kind.Name()}")

        let! dataset = datasetOf (Workplace.store place) folder record
        let! file = Checkpoints.choose folder "last"

        let shape: Packing.Shape = {
            Channels = dataset.Channels
            Height = dataset.Height
            Width = dataset.Width
        }

        // all of them first: a wrong name among many costs nothing then
        let pictures = [ for image in images -> image, Packing.fit shape (ImageFile.Read image) ]
        let! _ = Workplace.loadTorch place
        let! device = Device.ofName place.Settings.Device
        use checkpoint = ClassifierCheckpoint.Open file
        use model = checkpoint.Model()
        TorchSharp.ModuleExtensionMethods.``to`` (model, device) |> ignore

        let results = [
            for image, pixels in pictures ->
                image, List.ofSeq (ClassProbabilities.Top(model, pixels, dataset.ClassNames, count, device))
        ]

        let text =
            Table.render Table.Left [
                for image, classes in results do
                    for place, entry in List.indexed classes do
                        [
                            (if place = 0 then image else "")
                            entry.Name
                            $"""{number "F2" (100.0 * entry.Probability)} %%"""
                        ]
            ]

        place.Output.Result(
            text,
            {|
                Run = record.Id
                Images = [ for image, classes in results -> {| Image = image; Classes = classes |} ]
            |}
        )
    }

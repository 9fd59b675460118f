/// Converts models and configurations of the published implementation into configurations of this program.
module DQ.Pipeline.Configuration.Published

open System
open System.Text.Json.Nodes
open DQ.Core.Autoencoders
open DQ.Core.Published
open DQ.Pipeline

/// Number of training images of the data sets that it knows by name.
let private trainingImages = Map [ "cifar10", 50_000L; "imageNet32", 1_281_167L ]

/// No images: an imported model is evaluated on the images that a later command names.
let private noData: DataConfig = {
    Settings.defaults.Data with
        Source = SourceKind.Folder
        // there all training images are used for training, and the test images for validation
        Validation = 0.0
}

let private data (model: AutoencoderSpec) (training: PublishedTraining) : DataConfig =
    let size = Some training.ImageSize

    let ofModel = {
        noData with
            ImageChannels = Some model.ImageChannels
    }

    match training.Dataset with
    | "cifar10" -> {
        ofModel with
            Source = SourceKind.Cifar10
            ImageSize = (if training.ImageSize = 32 then None else size)
      }
    | "imageNet32" -> { ofModel with ImageSize = size }
    | folder -> {
        ofModel with
            Path = folder
            ImageSize = size
      }

/// The tree of a configuration, without a name.
let private tree (config: RunConfig) : JsonObject =
    let tree = Settings.toTree config
    tree.Remove "name" |> ignore
    tree

/// The configuration of a model whose training is not known.
let ofModel (spec: AutoencoderSpec) =
    tree {
        Settings.defaults with
            Data = {
                noData with
                    ImageChannels = Some spec.ImageChannels
            }
            Model = spec
            Evaluation = {
                Settings.defaults.Evaluation with
                    Splits = [| "test" |]
            }
    }

/// Defaults under a configuration of ours that may define only a model: it does not request dead leaves.
let underSpec () : JsonObject =
    let data = JsonObject()
    data["source"] <- JsonValue.Create noData.Source.Name
    let tree = JsonObject()
    tree["data"] <- data
    tree

/// An INI configuration, and the parts of its training that differ here, one line each.
let ofConfig (published: PublishedConfig) : JsonObject * string list =
    let training = published.Training
    let defaults = Settings.defaults

    let steps, note =
        match trainingImages.TryFind training.Dataset with
        | Some images -> training.Spec(images), []
        | None ->
            training.Spec(),
            [
                $"train.epochs: {training.Epochs} passes over all images, whose number is not known; training.steps is {defaults.Training.Steps} here"
            ]

    let config = {
        defaults with
            Data = data published.Model training
            Model = published.Model
            Training = steps
            Evaluation = {
                defaults.Evaluation with
                    Splits = [| "test" |]
                    BatchSize = training.BatchSize
            }
    }

    tree config,
    [
        yield! note
        "augmentation: crops, flips and colours are changed at random there, not here; see data.flip and data.shift"
    ]

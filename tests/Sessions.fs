/// Training sessions as tests make them, with the models they train.
module DQ.Tests.Sessions

open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Classification
open DQ.Core.Training

type TrainingSession with

    /// Of a session that trains an autoencoder.
    member session.Model = (session.Objective :?> AutoencoderObjective).Model

    /// Of one that trains a classifier.
    member session.Classifier = (session.Objective :?> ClassifierObjective).Model

let ofAutoencoder (spec: AutoencoderSpec, training: TrainingSpec, seed: int64, device: torch.Device) =
    new TrainingSession(new AutoencoderObjective(spec, training.Freeze, seed), training, seed, device)

let ofClassifier (spec: ClassifierSpec, training: TrainingSpec, seed: int64, device: torch.Device) =
    new TrainingSession(new ClassifierObjective(spec, seed), training, seed, device)

/// The session that wrote a checkpoint.
let loaded (path: string, training: TrainingSpec, device: torch.Device) =
    use file = Checkpoint.Open path
    let session = ofAutoencoder (file.Spec, training, file.Progress.Seed, device)
    session.Restore path
    session

/// The same of a classifier.
let loadedClassifier (path: string, training: TrainingSpec, device: torch.Device) =
    use file = ClassifierCheckpoint.Open path
    let session = ofClassifier (file.Spec, training, file.Progress.Seed, device)
    session.Restore path
    session

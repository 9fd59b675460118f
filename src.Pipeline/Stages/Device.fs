/// The device that a command names.
module DQ.Pipeline.Stages.Device

open System
open DQ.Pipeline
open DQ.Pipeline.Configuration
open TorchSharp

/// The device of this name, once libtorch is loaded.
let ofName (name: string) : Result<torch.Device, StageError> =
    try
        let device = torch.device name

        if device.``type`` = DeviceType.CUDA && not (torch.cuda.is_available ()) then
            Error(Usage $"--device {name}: no CUDA device can be used here; see dq doctor")
        else
            Ok device
    with
    | :? ArgumentException
    | :? FormatException
    | :? OverflowException -> Error(Usage $"--device {name}: expected cpu, cuda or cuda:N")

/// The device of this name for one of several processes on a machine: `cuda` is one for each then.
let ofRank (team: Team) (name: string) : Result<torch.Device, StageError> =
    ofName name
    |> Result.map (fun device ->
        if team.IsAlone || name <> "cuda" then
            device
        else
            torch.device $"cuda:{team.Local % torch.cuda.device_count ()}")

/// Whether a model of this configuration can be trained there.
let suits (config: RunConfig) (device: torch.Device) : Result<unit, StageError> =
    if Settings.hasContext config && device.``type`` <> DeviceType.CPU then
        Error(Usage $"--device {device}: expected cpu: a context head (model.likelihood.context) is computed there")
    else
        Ok()

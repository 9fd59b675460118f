/// The device that a command names.
module DQ.Pipeline.Stages.Device

open System
open System.Globalization
open System.Text.RegularExpressions
open DQ.Pipeline
open DQ.Pipeline.Configuration
open TorchSharp

/// The number of a CUDA device that a name means, 0 without one; None for the processor. An error where it is no name of a device.
let private cudaIndex (name: string) : Result<int option, StageError> =
    match name with
    | "cpu" -> Ok None
    | "cuda" -> Ok(Some 0)
    | _ when Regex.IsMatch(name, "^cuda:[0-9]{1,3}$") -> Ok(Some(Int32.Parse(name[5..], CultureInfo.InvariantCulture)))
    | _ -> Error(Usage $"--device {name}: expected cpu, cuda or cuda:N")

/// Whether a name can be one of a device at all; libtorch is not asked.
let check (name: string) : Result<unit, StageError> = cudaIndex name |> Result.map ignore

/// The device with this name; libtorch must be loaded.
let ofName (name: string) : Result<torch.Device, StageError> =
    cudaIndex name
    |> Result.bind (fun index ->
        match index with
        | None -> Ok(torch.device "cpu")
        // asked before a device is made, which throws where there is none
        | Some _ when not (torch.cuda.is_available ()) ->
            Error(Usage $"--device {name}: no CUDA device can be used here; see dq doctor")
        | Some index when index >= torch.cuda.device_count () ->
            Error(Usage $"--device {name}: expected one of the {torch.cuda.device_count ()} CUDA devices here, from 0")
        | Some _ -> Ok(torch.device name))

/// Whether a model of this configuration can be trained there.
let suits (config: RunConfig) (device: torch.Device) : Result<unit, StageError> =
    match DQ.Core.Training.NumberFormats.Problem(config.Training.Precision, device) with
    | null -> Ok()
    | problem -> Error(Usage $"training.precision: {problem}")

/// The device of this name for one of several processes on a machine: `cuda` is one for each then.
let ofRank (team: Team) (name: string) : Result<torch.Device, StageError> =
    ofName name
    |> Result.map (fun device ->
        if team.IsAlone || name <> "cuda" then
            device
        else
            torch.device $"cuda:{team.Local % torch.cuda.device_count ()}")

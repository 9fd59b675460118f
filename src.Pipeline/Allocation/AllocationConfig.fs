namespace DQ.Pipeline.Allocation

open System
open System.Collections.Generic
open DQ.Core.BitAllocation
open DQ.Core.Features
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages

/// How bits are allocated to feature channels: the `allocation` part of a configuration.
type AllocationConfig = {
    /// `alexnet`, `vgg16` or `resnet18` in torchvision's layout, or `run` for a classifier trained by this program.
    Network: string
    /// File with the weights of a torchvision network (.pth or safetensors); null with a run.
    Weights: string | null
    /// Run of a classifier, by its id or a part of it; null with weights.
    Run: string | null
    /// Layer whose output is quantized; the network is cut behind it.
    Layer: string
    /// `uniform`, `dorefa` or `logarithmic`.
    Quantizer: string
    /// Base of the logarithmic quantizer, above 1.
    LogBase: float
    /// Number of training images, drawn by the seed, from which intervals and allocations are computed.
    CalibrationImages: int
    /// Number of test images (or validation images) on which they are measured, drawn by the seed. All their features
    /// are in memory.
    TestImages: int
    /// Images per batch of the network, except for candidates.
    BatchSize: int
    /// Averages of bits per channel: the points of the curves.
    AverageBits: IReadOnlyList<float>
    /// `equal`, `random`, `sensitivity`, `dynamic` and `greedy`, or several of them.
    Methods: IReadOnlyList<string>
    /// Weight of the rank by mean in a channel's priority.
    Alpha: float
    /// Weight of the rank by standard deviation.
    Beta: float
    /// Number of channels of highest priority that are tried for every bit.
    Reserve: int
    /// Maximum number of rounds of moving bits from the least to the most useful channels.
    MoveRounds: int
    /// Number of channels of the small case, for which every allocation is tried; 0 leaves it out.
    SmallCaseChannels: int
    /// Average bits of that case.
    SmallCaseBits: float
    /// Number of test images, the first of those drawn, that get their own allocation; 0 for none.
    OnlineImages: int
    /// Average bits of these images' allocations.
    OnlineBits: float
}

module AllocationConfig =
    /// Number of channels from which trying every allocation takes too long.
    let private largestSmallCase = 6

    let defaults: AllocationConfig = {
        Network = "run"
        Weights = null
        Run = null
        Layer = ""
        Quantizer = "uniform"
        LogBase = 2.0
        CalibrationImages = 64
        TestImages = 512
        BatchSize = 64
        AverageBits = [| 1.0 .. 8.0 |]
        Methods = Seq.toArray AllocationMethods.Names
        Alpha = 0.9
        Beta = 0.1
        Reserve = 16
        MoveRounds = 20
        SmallCaseChannels = 4
        SmallCaseBits = 3.0
        OnlineImages = 4
        OnlineBits = 4.0
    }

    let fields = Shape.fields defaults

    let networks = "run" :: List.ofSeq TorchvisionClassifier.Names

    /// Keys that take one of a few names.
    let choices: (string * string list) list = [ "network", networks; "quantizer", List.ofSeq ChannelQuantizers.Names ]

    /// All problems of the values, by key.
    let problems (config: AllocationConfig) : (string * string) list =
        let oneOf names (key: string) (value: string) =
            if Seq.contains value names then
                []
            else
                let listed = String.concat ", " names
                [ key, $"expected one of {listed}, got '{value}'" ]

        let atLeast least key (value: int) =
            if value < least then
                [ key, $"expected a whole number of at least {least}, got {value}" ]
            else
                []

        let average key (value: float) =
            if value > 0.0 && value <= float IntervalTable.MaxBits then
                []
            else
                [
                    key, $"expected a number above 0 and up to {IntervalTable.MaxBits}, got {value}"
                ]

        let distinct key (values: 'a seq) =
            if Seq.isEmpty values then
                [ key, "expected at least one" ]
            elif Seq.length (Seq.distinct values) < Seq.length values then
                [ key, "expected each once" ]
            else
                []

        let weight key (value: float) =
            if value >= 0.0 then
                []
            else
                [ key, $"expected a number of at least 0, got {value}" ]

        [
            yield! oneOf networks "network" config.Network

            if config.Network = "run" then
                if String.IsNullOrEmpty config.Run then
                    "run", "expected the run of a classifier, got none"

                if not (isNull config.Weights) then
                    "weights", "expected none with network run"
            elif List.contains config.Network networks then
                match config.Weights with
                | null -> "weights", $"expected torchvision's weights for {config.Network}, got none"
                | file when not (IO.File.Exists file) -> "weights", $"expected a file that exists, got '{file}'"
                | _ -> ()

                if not (isNull config.Run) then
                    "run", $"expected none with network {config.Network}"

            if config.Layer = "" then
                "layer", "expected the name of a layer, got none"

            yield! oneOf ChannelQuantizers.Names "quantizer" config.Quantizer

            if not (config.LogBase > 1.0) then
                "log_base", $"expected a number above 1, got {config.LogBase}"

            yield! atLeast 1 "calibration_images" config.CalibrationImages
            yield! atLeast 1 "test_images" config.TestImages
            yield! atLeast 1 "batch_size" config.BatchSize
            yield! distinct "average_bits" config.AverageBits

            for index, bits in Seq.indexed config.AverageBits do
                yield! average $"average_bits[{index}]" bits

            yield! distinct "methods" config.Methods

            for index, name in Seq.indexed config.Methods do
                yield! oneOf AllocationMethods.Names $"methods[{index}]" name

            yield! weight "alpha" config.Alpha
            yield! weight "beta" config.Beta
            yield! atLeast 1 "reserve" config.Reserve
            yield! atLeast 0 "move_rounds" config.MoveRounds

            if config.SmallCaseChannels < 0 || config.SmallCaseChannels > largestSmallCase then
                "small_case_channels",
                $"expected a whole number from 0 to {largestSmallCase}, got {config.SmallCaseChannels}"

            yield! average "small_case_bits" config.SmallCaseBits
            yield! atLeast 0 "online_images" config.OnlineImages
            yield! average "online_bits" config.OnlineBits
        ]

    /// The object of a configuration's layers, over the defaults; all problems at once, with their places.
    let read (file: string) (layers: ConfigTree.Layer list) : Result<AllocationConfig, StageError> =
        let located problems =
            Error(
                Configuration [
                    for key, message in problems do
                        let file, key = ConfigTree.origin file layers key

                        {
                            File = file
                            Key = key
                            Message = message
                        }
                ]
            )

        match DQ.Pipeline.Progressive.Phases.merged "allocation" layers with
        | :? Text.Json.Nodes.JsonObject as tree ->
            match DQ.Pipeline.Progressive.Phases.readRecord<AllocationConfig> "allocation" fields tree with
            | Error problems -> located problems
            | Ok config ->
                match problems config with
                | [] -> Ok config
                | problems -> located [ for key, message in problems -> $"allocation.{key}", message ]
        | _ ->
            located [
                "allocation", "expected an object { … } that says what is allocated, got none"
            ]

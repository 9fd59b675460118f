/// Readers of weights and checkpoints.
module DQ.Tests.Fuzz.WeightReaders

open System.IO
open Expecto
open TorchSharp
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Training
open DQ.Core.Formats
open DQ.Core.Published
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Tests.Autoencoders.HierarchicalAutoencoderTests
open DQ.Tests.Data.Zips
open DQ.Tests.Data.Samples
open DQ.Tests.Fuzz.Target
open DQ.Tests.Sessions
open DQ.Tests.TemporaryFolder

let private session = lazy (ofAutoencoder (tiny, TrainingSpec(), 0L, torch.CPU))

/// A run's folder with checkpoints of two steps.
let private checkpoints =
    lazy
        (inFolder (fun folder ->
            let state step = {
                LoopState.start tiny.Levels tiny.Codebooks with
                    Step = step
            }

            for step in [ 0L ] do
                Checkpoints.add folder session.Value.Save (state step)

            [
                for file in Directory.GetFiles(Path.Combine(folder, RunLayout.Checkpoints)) |> Array.sort ->
                    string (Path.GetFileName file), File.ReadAllBytes file
            ]))

let private readCheckpoint (name: string) = {
    Name = $"checkpoint, {Path.GetExtension name}"
    Files = [
        for other, content in checkpoints.Value do
            if other = name then
                content
    ]
    Read =
        fun folder content ->
            writeTree (Path.Combine(folder, RunLayout.Checkpoints)) [
                for other, whole in checkpoints.Value -> other, (if other = name then content else whole)
            ]

            match Checkpoints.newestWhole folder with
            | None, problems -> Expect.isNonEmpty problems "said"
            | Some state, _ ->
                use read = Checkpoint.Open(Checkpoints.weights folder state.Step)
                use model = read.Model()
                model |> ignore

            Ok()
}

let private importWeights key (path: string) =
    use source = WeightsSource.Open(path, key)
    source.NonFinite() |> ignore

    match source.Spec with
    | null -> ()
    | spec when spec.Channels <= 64 && spec.Levels <= 3 ->
        use model = new HierarchicalAutoencoder(spec)
        source.Fill model
    | _ -> ()

let private parity (path: string) = (ParityFile.Open path).Dispose()

let readers =
    lazy
        [
            throwing "PyTorch files" (allOf [ "pytorch" ] "*.pt") (importWeights null)
            throwing "PyTorch files by key" [ bytesOf [ "pytorch"; "nested.pt" ] ] (importWeights "state_dict")
            throwing
                "networks' weights"
                [ bytesOf [ "pytorch"; "legacy.pt" ]; bytesOf [ "pytorch"; "tensors.pt" ] ]
                (fun path ->
                    use file = TensorFile.Open path

                    for name in List.ofSeq file.Shapes.Keys do
                        (file.Read name).Dispose())
            throwing
                "safetensors"
                [
                    bytesOf [ "torchvision"; "logits.safetensors" ]
                    written (fun path -> WeightsExport.Write(path, session.Value.Model, WeightNames.Ours, 3L))
                ]
                (importWeights null)
            throwing
                "parity files"
                [
                    bytesOf [ "parity"; "likelihood.safetensors" ]
                    bytesOf [ "parity"; "vq-mse-1level.safetensors" ]
                ]
                parity
            for name, _ in checkpoints.Value do
                readCheckpoint name
        ]

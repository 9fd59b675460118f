module DQ.Tests.Verification.ParityCheckTests

open System.Collections.Generic
open System.IO
open Expecto
open DQ.Core.Formats
open DQ.Core.Verification
open DQ.Tests.Fixtures
open DQ.Tests.Pipeline.Program
open TorchSharp

let private folder = fixture [ "parity" ]

let private path name =
    Path.Combine(folder, $"{name}.safetensors")

/// A copy of a parity file with other metadata, and with one tensor another.
let private changed
    name
    (metadata: (string * string) list)
    tensor
    (change: torch.Tensor -> torch.Tensor)
    (target: string)
    =
    use _ = torch.NewDisposeScope()
    use file = SafeTensorsFile.Open(path name)
    let texts = Dictionary file.Metadata

    for key, text in metadata do
        texts[key] <- text

    let tensors = [
        for entry in file.Entries do
            let value = file.Read entry.Name
            KeyValuePair(entry.Name, (if entry.Name = tensor then change value else value).contiguous())
    ]

    SafeTensorsFile.Write(target, tensors, texts)

let private failures (file: string) = [
    for result in ParityCheck.Run file do
        if not result.Passed then
            result.Quantity
]

let private add (amount: float) (tensor: torch.Tensor) =
    tensor.add (torch.tensor(amount).``to`` tensor.dtype)

let private flat (tensor: torch.Tensor) = tensor.flatten ()

[<Tests>]
let tests =
    testSequenced
    <| testList "Verification.ParityCheck" [
        for file in Directory.GetFiles(folder, "*.safetensors") |> Array.sort do
            test $"{Path.GetFileName file}: every quantity agrees" {
                Expect.isEmpty (failures file) "out of tolerance"
                Expect.isGreaterThan (Seq.length (ParityCheck.Run file)) 5 "quantities"
            }

        for name, tensor, amount, quantity in
            [
                "vq-mse-1level", "eval.loss", 1e-3, "loss"
                "vq-mse-1level", "eval.latent_loss", 1e-3, "latent_loss"
                "dq-ce-1level", "eval.decoder_output", 1e-3, "decoder_output"
                "dq-ce-1level", "eval.codes.0", 1.0, "codes"
                "dq-mix-train-step", "train.grad_norm", 0.1, "train.grad_norm"
                "dq-mix-train-step", "after_step.decoder.0.blocks.0.bias", 1e-4, "change over the step"
                "dq-mix-train-step", "after_step.quantizers.0.0.embed", 1e-3, "codebook"
                "likelihood", "nll_nats_per_dim_f64", 1e-3, "nll_nats_per_dim, float64"
                "likelihood", "nll_nats_per_dim", 1.0, "nll_nats_per_dim, as recorded"
                "likelihood", "grad_of_mean", 1.0, "gradient of the mean, as recorded"
            ] do
            test $"{name}: {tensor} off by {amount} is found" {
                withFile (fun target ->
                    changed name [] tensor (add amount) target

                    Expect.exists
                        (failures target)
                        (fun failed -> failed.StartsWith quantity)
                        $"among {failures target}")
            }

        for name, tensor in
            [
                "vq-mse-1level", "eval.codes.0"
                "vq-mse-1level", "eval.decoder_output"
                "vq-mse-1level", "input.normalized"
                "likelihood", "logits"
                "likelihood", "grad_of_mean_f64"
            ] do
            test $"{name}: {tensor} of another shape is refused, not stretched to fit" {
                withFile (fun target ->
                    changed name [] tensor flat target

                    Expect.throwsC (fun () -> ParityCheck.Run target |> ignore) (fun error ->
                        Expect.stringStarts error.Message $"{target}: {tensor}: expected (" "file and tensor"
                        Expect.isTrue (error :? WeightsException) $"{error}"))
            }

        test "a recorded code that is as near as ours within float32 is a tie, and what follows is compared with it" {
            use _ = torch.NewDisposeScope()
            use file = SafeTensorsFile.Open(path "dq-mix-2level")
            let top = file.Read "eval.codes.0" // (B, M, H, W)
            let book = top.select (1, 0L)
            let count = file.Read("model.quantizers.1.0.embed").shape[1]

            let used = [
                for code in 0L .. count - 1L -> book.eq(torch.tensor code).sum().item<int64>()
            ]
            // of the two that become one code, ours is the first and theirs the second
            let first = List.findIndex (fun uses -> uses > 0L) used |> int64

            let second =
                used
                |> List.indexed
                |> List.findBack (fun (code, uses) -> uses = 0L && int64 code > first)
                |> fst
                |> int64

            let made distance (target: string) =
                let tensors = [
                    for entry in file.Entries do
                        let value = file.Read entry.Name

                        let value =
                            match entry.Name with
                            | "model.quantizers.1.0.embed" ->
                                let copy = value.clone ()

                                copy
                                    .select(1, second)
                                    .copy_(value.select(1, first).add(torch.tensor (float32 distance)))
                                |> ignore

                                copy
                            | "eval.codes.0" ->
                                let copy = value.clone ()
                                let part = copy.select (1, 0L)

                                part.masked_fill_ (part.eq (torch.tensor first), (second: int64).ToScalar())
                                |> ignore

                                copy
                            | _ -> value

                        KeyValuePair(entry.Name, value.contiguous ())
                ]

                SafeTensorsFile.Write(target, tensors, Dictionary file.Metadata)

            withFile (fun target ->
                made 1e-8 target
                let results = List.ofSeq (ParityCheck.Run target)

                Expect.isEmpty
                    [
                        for result in results do
                            if not result.Passed then
                                result
                    ]
                    "all pass"

                let codes = results |> List.find (fun result -> result.Quantity = "codes")
                Expect.equal codes.Ties used[int first] "each use is a tie"
                Expect.stringContains codes.Measure $"{codes.Ties} ties" "said"
                made 1e-2 target

                let codes =
                    ParityCheck.Run target |> Seq.find (fun result -> result.Quantity = "codes")

                Expect.isFalse codes.Passed "a code that is farther is no tie")
        }

        test "a decay that the released code never passed on changes nothing" {
            withFile (fun target ->
                changed "dq-mix-train-step" [ "decay", "0.5" ] "" id target
                Expect.isEmpty (failures target) "as with 0.99")
        }

        test "a model much larger than its file is refused before it is made" {
            withFile (fun target ->
                for setting in [ "channel"; "n_res_channel"; "embed_dim"; "n_codebooks" ] do
                    changed "dq-mix-train-step" [ setting, "3000000" ] "" id target

                    Expect.throwsC (fun () -> ParityCheck.Run target |> ignore) (fun error ->
                        Expect.stringStarts error.Message $"{target}: {setting}: expected at most" "names the setting"))
        }

        test "dq verify shows every file, the one that can't be read too" {
            withFile (fun target ->
                File.WriteAllText(target, "no parity file")

                let finished =
                    finish (start [ "verify"; target; path "vq-mse-1level"; "--artifacts"; Path.GetTempPath() ])

                Expect.equal finished.ExitCode 3 "exit code"
                Expect.stringContains finished.Errors target "names the file"
                Expect.stringContains finished.Output "latent_loss" "the other's table")
        }
    ]

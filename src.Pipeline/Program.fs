module DQ.Pipeline.Program

[<EntryPoint>]
let main _ =
    let report = DQ.Core.Native.LibTorch.Load()
    printfn "%A" report
    printfn "%s" (TorchSharp.torch.randn(3L).ToString())
    0

module DQ.Tests.Program

open Expecto

[<EntryPoint>]
let main arguments =
    DQ.Core.Native.LibTorch.Load() |> ignore
    // the models here are tiny: a second thread only adds waiting
    TorchSharp.torch.set_num_threads 1
    runTestsInAssemblyWithCLIArgs [ Fail_On_Focused_Tests ] arguments

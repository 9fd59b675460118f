module DQ.Tests.Program

open Expecto

[<EntryPoint>]
let main arguments =
    DQ.Core.Native.LibTorch.Load() |> ignore
    runTestsInAssemblyWithCLIArgs [ Fail_On_Focused_Tests ] arguments

module DQ.Tests.Native.LibTorchTests

open Expecto
open DQ.Core.Native
open TorchSharp

[<Tests>]
let tests =
    testList "Native.LibTorch" [
        test "a loaded libtorch computes" {
            let report = LibTorch.Load()
            use sum = torch.ones([| 2L; 3L |]).sum()
            Expect.equal (sum.ToDouble()) 6.0 "the sum of six ones"
            Expect.isNotEmpty report.Folder "the folder it came from is reported"

            if report.Source = "package" then
                Expect.equal report.FoundTorchVersion report.ExpectedTorchVersion "the package's own version"
        }
    ]

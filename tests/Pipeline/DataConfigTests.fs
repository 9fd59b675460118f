module DQ.Tests.DataConfigTests

open System
open Expecto
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Tests.Data.Samples

let private problems config =
    DataConfig.problems "small.json" config
    |> List.map (fun problem -> problem.Key, problem.Message)

[<Tests>]
let tests =
    testList "DataConfig" [
        test "what is right has no problems" {
            Expect.isEmpty (problems leaves) "dead leaves"

            let folder = {
                leaves with
                    Source = SourceKind.Folder
                    Path = IO.Path.GetTempPath()
                    ImageSize = Some 64
            }

            Expect.isEmpty
                (problems {
                    folder with
                        Validation = 100.0
                        Test = 0.0
                        Limit = 10
                        MaxCorrupt = 1.0
                })
                "a folder"
        }

        test "all problems are listed, each with its key, expectation and value" {
            let wrong = {
                leaves with
                    ImageSize = Some 0
                    ImageChannels = Some 2
                    Validation = 1.5
                    Test = -0.1
                    Limit = -1
                    MaxCorrupt = nan
                    Shift = -2
            }

            Expect.equal
                (problems wrong)
                [
                    "data.image_size", "expected an integer of at least 1, got 0"
                    "data.image_channels", "expected 1, 3 or null, got 2"
                    "data.validation", "expected a share below 1 or a whole number of images, got 1.5"
                    "data.test", "expected a share below 1 or a whole number of images, got -0.1"
                    "data.limit", "expected an integer of at least 0, got -1"
                    "data.max_corrupt", "expected a share from 0 to 1, got NaN"
                    "data.shift", "expected an integer of at least 0, got -2"
                ]
                "problems"
        }

        test "sources that need a path say so, and where it is missing" {
            Expect.equal
                (problems { leaves with Source = SourceKind.Idx })
                [
                    "data.path", "expected the folder or file that holds the images of source idx, got none"
                ]
                "none"

            Expect.equal
                (problems {
                    leaves with
                        Source = SourceKind.Cifar10
                        Path = "/no/such/folder"
                })
                [ "data.path", "expected a folder or file that exists, got '/no/such/folder'" ]
                "missing"
        }

        test "a folder's images need a size, dead leaves a count" {
            let folder = {
                leaves with
                    Source = SourceKind.Folder
                    Path = IO.Path.GetTempPath()
                    ImageSize = None
            }

            Expect.equal (problems folder |> List.map fst) [ "data.image_size" ] "size"
            Expect.equal (problems { leaves with Count = 0 } |> List.map fst) [ "data.count" ] "count"
        }
    ]

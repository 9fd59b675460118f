module DQ.Tests.TemporaryFolder

open System.IO

/// Runs a test in a fresh folder that is gone afterwards.
let inFolder (run: string -> 'result) =
    let folder = Directory.CreateTempSubdirectory("dq-tests-").FullName

    try
        run folder
    finally
        Directory.Delete(folder, true)

module DQ.Tests.Sha256Tests

open System
open System.IO
open Expecto
open DQ.Core
open DQ.Tests.Fixtures

// FIPS 180-4's example "abc"
let private abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

[<Tests>]
let tests =
    testList "Sha256" [
        test "a text, its bytes and a file of them have the digits of the standard's example" {
            Expect.equal (Sha256.OfText "abc") abc "text"
            Expect.equal (Sha256.Of(ReadOnlySpan [| 97uy; 98uy; 99uy |])) abc "bytes"

            withFile (fun path ->
                File.WriteAllText(path, "abc")
                Expect.equal (Sha256.OfFile path) abc "file")
        }

        test "text is UTF-8" {
            Expect.equal (Sha256.OfText "é") (Sha256.Of(ReadOnlySpan [| 0xC3uy; 0xA9uy |])) "two bytes"
        }
    ]

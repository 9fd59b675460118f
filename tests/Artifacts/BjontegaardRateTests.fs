module DQ.Tests.Artifacts.BjontegaardRateTests

open System
open Expecto
open DQ.Core.Artifacts
open DQ.Core.BitAllocation

let private curve rates qualities =
    Seq.map2 (fun (rate: float) (quality: float) -> struct (rate, quality)) rates qualities

[<Tests>]
let tests =
    testList "Artifacts.BjontegaardRate" [
        test "a curve that needs a tenth less everywhere saves ten percent" {
            let rates = [ 1.0 .. 8.0 ]
            let qualities = [ for rate in rates -> 6.0 * rate + 3.0 * sin rate ]
            let anchor = curve rates qualities
            let less = curve [ for rate in rates -> 0.9 * rate ] qualities
            Expect.floatClose Accuracy.high (BjontegaardRate.Percent(less, anchor).Value) -10.0 "against the anchor"
            Expect.floatClose Accuracy.high (BjontegaardRate.Percent(anchor, less).Value) (100.0 / 9.0) "the other way"
            Expect.equal (BjontegaardRate.Percent(anchor, anchor).Value) 0.0 "against itself"

            // any order; points no better than one of lower rate are left out
            let more = Seq.append (Seq.rev less) [ struct (5.1, -1.0) ]
            Expect.floatClose Accuracy.high (BjontegaardRate.Percent(more, anchor).Value) -10.0 "unsorted"
        }

        test "near the cubic's value on two curves of a video codec" {
            // the method of 2001: cubics through both (numpy.polyfit), integrated from 31.42 to 40.28, give 31.397 %
            let one = curve [ 686.76; 309.58; 157.11; 85.95 ] [ 40.28; 37.18; 34.24; 31.42 ]
            let two = curve [ 893.34; 407.8; 204.93; 112.75 ] [ 40.39; 37.21; 34.17; 31.24 ]
            Expect.isLessThan (abs (BjontegaardRate.Percent(two, one).Value - 31.397)) 1.0 "about a third more"
        }

        test "too few points, or no quality that both reach, give none" {
            let rates = [ 1.0 .. 4.0 ]
            let anchor = curve rates rates
            Expect.isFalse (BjontegaardRate.Percent(curve [ 1.0; 2.0; 3.0 ] [ 1.0; 2.0; 3.0 ], anchor).HasValue) "three"
            Expect.isFalse (BjontegaardRate.Percent(curve rates [ 5.0 .. 8.0 ], anchor).HasValue) "apart"
        }
    ]

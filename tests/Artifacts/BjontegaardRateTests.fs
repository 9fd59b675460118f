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

        // expected: numpy 1.24.2 and SciPy 1.10.1, PchipInterpolator(quality, log(rate)) of both curves, integrated by its own
        // integrate over the common qualities; docs/compare/peers.py has the lines
        for what, one, other, expected in
            [
                "a video codec",
                curve [ 112.75; 204.93; 407.8; 893.34 ] [ 31.24; 34.17; 37.21; 40.39 ],
                curve [ 85.95; 157.11; 309.58; 686.76 ] [ 31.42; 34.24; 37.18; 40.28 ],
                31.37987820239754
                "five points",
                curve [ 0.5; 1.0; 2.0; 4.0; 8.0 ] [ 20.0; 24.0; 27.5; 30.0; 31.0 ],
                curve [ 0.6; 1.1; 2.4; 4.1; 9.0 ] [ 20.5; 23.5; 27.0; 29.5; 31.5 ],
                -18.217545678507037
                // by three points the first slope and the last would fall below 0
                "flat ends",
                curve [ 1.0; 1.001; 4.0; 9.0; 9.01 ] [ 0.0; 4.0; 5.0; 6.0; 9.0 ],
                curve [ 1.0; 2.0; 3.0; 5.0; 8.0 ] [ 1.0; 3.0; 5.0; 7.0; 8.5 ],
                -0.17436562258951188
            ] do
            test $"{what}: SciPy's value" {
                Expect.floatClose Accuracy.veryHigh (BjontegaardRate.Percent(one, other).Value) expected "percent"
            }

        test "of points of one rate the best counts, in any order" {
            let anchor = curve [ 1.0 .. 6.0 ] [ 20.0; 24.0; 27.0; 29.0; 30.5; 31.5 ]
            let rates, qualities = [ 0.9; 1.8; 2.7; 3.6; 4.5 ], [ 20.0; 24.0; 27.0; 29.0; 30.5 ]
            let best = BjontegaardRate.Percent(curve rates qualities, anchor).Value
            let worse = curve [ 1.8; 2.7 ] [ 22.0; 24.5 ]

            for what, points in
                [
                    "worse first", Seq.append worse (curve rates qualities)
                    "worse last", Seq.append (curve rates qualities) worse
                    "reversed", Seq.rev (Seq.append (curve rates qualities) worse)
                    "twice", Seq.append (curve rates qualities) (curve rates qualities)
                ] do
                Expect.equal (BjontegaardRate.Percent(points, anchor).Value) best what
        }

        test "points without a rate or a quality are left out" {
            let anchor = curve [ 1.0 .. 5.0 ] [ 1.0 .. 5.0 ]

            let none =
                curve [ 0.0; -1.0; nan; infinity; 2.5; 2.6 ] [ 9.0; 9.0; 9.0; 9.0; nan; infinity ]

            Expect.equal (BjontegaardRate.Percent(Seq.append anchor none, anchor).Value) 0.0 "against itself"
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

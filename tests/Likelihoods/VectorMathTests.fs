module DQ.Tests.Likelihoods.VectorMathTests

open System
open System.Numerics
open Expecto
open DQ.Core.Likelihoods

let private at (compute: Vector<float32> -> Vector<float32>) (x: float32) = compute(Vector x).Item 0

/// The greatest error in units of the float32 nearest to the truth.
let private worstUlp (compute: Vector<float32> -> Vector<float32>) (truth: float -> float) (inputs: float32 seq) =
    inputs
    |> Seq.map (fun x ->
        let expected = truth (float x)

        let unit =
            float (MathF.BitIncrement(abs (float32 expected)))
            - float (abs (float32 expected))

        abs (float (at compute x) - expected) / unit)
    |> Seq.max

/// Evenly spaced numbers and, toward zero, ever finer ones.
let private range low high =
    Seq.append
        (Seq.init 200001 (fun index -> float32 (low + (high - low) * float index / 200000.0)))
        (Seq.init 4000 (fun index -> float32 (low * Math.Pow(2.0, float -index / 50.0))))

[<Tests>]
let tests =
    testList "Likelihoods.VectorMath" [
        test "e^x within 2 units in the last place" {
            Expect.isLessThan (worstUlp VectorMath.Exp exp (range -79.9 10.0)) 2.0 "exp"
        }

        test "e^x − 1 within 3 units, near zero too" {
            let truth (x: float) =
                if abs x < 1e-5 then x + x * x / 2.0 else exp x - 1.0

            Expect.isLessThan
                (worstUlp VectorMath.ExpLessOne truth (range -79.9 0.0 |> Seq.filter ((<>) 0.0f)))
                3.0
                "expm1"
        }

        test "log x within 3 units over all magnitudes" {
            let inputs =
                Seq.init 200000 (fun index -> float32 (Math.Pow(2.0, float index / 800.0 - 125.0)))

            Expect.isLessThan (worstUlp VectorMath.Log log (Seq.append inputs (range 0.5 2.0))) 3.0 "log"
        }

        test "far below, e^x is nothing; NaN stays" {
            Expect.equal (at VectorMath.Exp -1e30f) 0.0f "exp"
            Expect.equal (at VectorMath.Exp Single.NegativeInfinity) 0.0f "exp of −∞"
            Expect.equal (at VectorMath.ExpLessOne -1e30f) -1.0f "expm1"
            Expect.isTrue (Single.IsNaN(at VectorMath.Exp Single.NaN)) "exp of NaN"
            Expect.isTrue (Single.IsNaN(at VectorMath.ExpLessOne Single.NaN)) "expm1 of NaN"
            Expect.isTrue (Single.IsNaN(at VectorMath.Log Single.NaN)) "log of NaN"
        }
    ]

module DQ.Tests.Native.ScalarsTests

open System
open System.Runtime.CompilerServices
open Expecto
open DQ.Core.Native

[<MethodImpl(MethodImplOptions.NoInlining)>]
let private ofNoVariable () = WeakReference(Scalars.Kept 0.5)

[<MethodImpl(MethodImplOptions.NoInlining)>]
let private many count =
    for i in 1..count do
        Scalars.Kept(int64 i) |> ignore

let private collect () =
    GC.Collect()
    GC.WaitForPendingFinalizers()
    GC.Collect()

[<Tests>]
let tests =
    testSequenced
    <| testList "Native.Scalars" [
        test "a number outlives the collection that comes while it is used, and not the program" {
            let scalar = ofNoVariable ()
            collect ()
            Expect.isTrue scalar.IsAlive "nothing but the ring holds it"
            many 5000
            collect ()
            Expect.isFalse scalar.IsAlive "long after its use"
        }
    ]

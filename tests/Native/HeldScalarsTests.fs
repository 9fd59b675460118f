/// Reads compiled code for numbers that go to tensor operations without being held (see `Scalars`).
module DQ.Tests.Native.HeldScalarsTests

open System
open System.Collections.Generic
open System.Reflection
open System.Reflection.Emit
open System.Runtime.CompilerServices
open Expecto
open TorchSharp
open DQ.Core.Native

let private opCodes =
    dict [
        for field in typeof<OpCodes>.GetFields() do
            match field.GetValue null with
            | :? OpCode as code -> uint16 code.Value, code
            | _ -> ()
    ]

/// Tokens of the methods that a body calls.
let private tokens (il: byte[]) = [
    let mutable at = 0

    while at < il.Length do
        let value =
            if il[at] = 0xFEuy then
                0xFE00us ||| uint16 il[at + 1]
            else
                uint16 il[at]

        let code = opCodes[value]
        at <- at + code.Size

        if code.OperandType = OperandType.InlineMethod then
            BitConverter.ToInt32(il, at)

        at <-
            at
            + match code.OperandType with
              | OperandType.InlineNone -> 0
              | OperandType.ShortInlineBrTarget
              | OperandType.ShortInlineI
              | OperandType.ShortInlineVar -> 1
              | OperandType.InlineVar -> 2
              | OperandType.InlineI8
              | OperandType.InlineR -> 8
              | OperandType.InlineSwitch -> 4 + 4 * BitConverter.ToInt32(il, at)
              | _ -> 4
]

/// The methods and constructors of an assembly, each with the methods it calls.
let private callsIn (assembly: Assembly) = [
    let all =
        BindingFlags.Public
        ||| BindingFlags.NonPublic
        ||| BindingFlags.Instance
        ||| BindingFlags.Static
        ||| BindingFlags.DeclaredOnly

    for owner in assembly.GetTypes() do
        let ofType =
            if owner.IsGenericType then
                owner.GetGenericArguments()
            else
                [||]

        for caller in Seq.append (Seq.cast<MethodBase>(owner.GetMethods all)) (Seq.cast (owner.GetConstructors all)) do
            match caller.GetMethodBody() with
            | null -> ()
            | body ->
                let ofMethod =
                    if caller.IsGenericMethod then
                        caller.GetGenericArguments()
                    else
                        [||]

                caller,
                [
                    for token in tokens (nonNull (body.GetILAsByteArray())) do
                        nonNull (caller.Module.ResolveMethod(token, ofType, ofMethod))
                ]
]

/// The methods of TorchSharp that make a number, and those of its methods that call one of these.
let private makers =
    lazy
        (let calls = callsIn typeof<Scalar>.Assembly

         let rec close (makers: HashSet<MethodBase>) =
             let more = [
                 for caller, called in calls do
                     if not (makers.Contains caller) && List.exists makers.Contains called then
                         caller
             ]

             makers.UnionWith more
             if more.IsEmpty then makers else close makers

         let isNumber (made: MethodBase) =
             made.DeclaringType = typeof<Scalar>
             && (made.IsConstructor || made.Name = "op_Implicit")

         calls |> List.map fst |> List.filter isNumber |> HashSet |> close)

/// Methods of an assembly that hand on, or have TorchSharp make, numbers that nothing holds.
let private unheldIn (assembly: Assembly) = [
    for caller, called in callsIn assembly do
        let owner = nonNull caller.DeclaringType

        if owner <> typeof<Scalars> then
            match List.tryFind makers.Value.Contains called with
            | Some maker -> $"{owner.Name}.{caller.Name}: {(nonNull maker.DeclaringType).Name}.{maker.Name}"
            | None -> ()
]

/// Ways to do it wrong, for the test to find.
[<MethodImpl(MethodImplOptions.NoInlining)>]
let unheldOperator (tensor: torch.Tensor) = tensor * 2.0

[<MethodImpl(MethodImplOptions.NoInlining)>]
let unheldConversion (tensor: torch.Tensor) =
    tensor.clamp_min (Scalar.op_Implicit 1L)

[<MethodImpl(MethodImplOptions.NoInlining)>]
let unheldFactor (tensor: torch.Tensor) = tensor + tensor

[<MethodImpl(MethodImplOptions.NoInlining)>]
let unheldReading (tensor: torch.Tensor) = tensor.ToSingle()

[<MethodImpl(MethodImplOptions.NoInlining)>]
let held (tensor: torch.Tensor) =
    HeldOperations.Plus(tensor * tensor, tensor).clamp_min(Scalars.Kept 1.0).item<float32>()

[<Tests>]
let tests =
    testList "Native.HeldScalars" [
        test "every number in a tensor operation of the core is held" {
            Expect.isEmpty (unheldIn typeof<Scalars>.Assembly) "use Scalars.Kept or HeldOperations in these methods"
        }

        test "and in those of the program" {
            Expect.isEmpty
                (unheldIn typeof<DQ.Pipeline.StageError>.Assembly)
                "use Scalars.Kept or HeldOperations in these methods"
        }

        test "operators, conversions, factors and readings are found, held numbers and tensors are not" {
            let here = unheldIn (Assembly.GetExecutingAssembly())

            let isListed name =
                here
                |> List.exists _.StartsWith($"HeldScalarsTests.{name}:", StringComparison.Ordinal)

            for name in
                [
                    nameof unheldOperator
                    nameof unheldConversion
                    nameof unheldFactor
                    nameof unheldReading
                ] do
                Expect.isTrue (isListed name) name

            Expect.isFalse (isListed (nameof held)) "held"
        }

        test "operations with held numbers give the bits of TorchSharp's own" {
            use _ = torch.NewDisposeScope()
            let a = torch.linspace (-40, 40, 999, torch.float32)
            let b = a.flip 0L * a

            for name, ours, theirs in
                [
                    "sum", HeldOperations.Plus(a, b), a + b
                    "sum with a number", HeldOperations.Plus(a, Scalars.Kept 0.3), a + 0.3
                    "square", HeldOperations.Squared a, a.square ()
                    "softplus", HeldOperations.Softplus a, torch.nn.functional.softplus a
                    "softplus, threshold", HeldOperations.Softplus(a, 30.0), torch.nn.functional.softplus (a, 1.0, 30.0)
                    "integers", HeldOperations.IntegersBelow 7L, torch.arange (Scalar.op_Implicit 7)
                ] do
                Expect.equal ours.dtype theirs.dtype name
                Expect.equal (ours.bytes.ToArray()) (theirs.bytes.ToArray()) name
        }
    ]

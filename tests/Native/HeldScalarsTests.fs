/// Reads compiled code for numbers that go to tensor operations without being held (see `Scalars`).
module DQ.Tests.Native.HeldScalarsTests

open System
open System.IO
open System.Reflection
open System.Reflection.Emit
open System.Reflection.Metadata
open System.Reflection.Metadata.Ecma335
open System.Reflection.PortableExecutable
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
let private calls (il: byte[]) = [
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

let private isNumber (kind: byte) =
    [
        SignatureTypeCode.Int32
        SignatureTypeCode.Int64
        SignatureTypeCode.Single
        SignatureTypeCode.Double
    ]
    |> List.exists (fun code -> byte code = kind)

/// Whether there is a number among the types of an operator's signature.
let rec private hasNumber (types: byte list) =
    match types with
    | [] -> false
    // a class or a structure, and its token of one, two or four bytes
    | (0x11uy | 0x12uy) :: token ->
        let length =
            if token.Head < 0x80uy then 1
            elif token.Head < 0xC0uy then 2
            else 4

        hasNumber (List.skip length token)
    | kind :: rest -> isNumber kind || hasNumber rest

/// A conversion of a number to a Scalar, or an operator of a tensor and a number, which has that conversion inside.
let private isUnheld (reader: MetadataReader) (token: int) =
    let entity = MetadataTokens.EntityHandle token

    if entity.Kind <> HandleKind.MemberReference then
        false
    else
        let called = reader.GetMemberReference(MemberReferenceHandle.op_Explicit entity)

        if called.Parent.Kind <> HandleKind.TypeReference then
            false
        else
            let owner = reader.GetTypeReference(TypeReferenceHandle.op_Explicit called.Parent)

            match reader.GetString owner.Name, reader.GetString called.Name with
            | "Scalar", "op_Implicit"
            | "ScalarExtensionMethods", _ -> true
            | "Tensor", ("op_Addition" | "op_Subtraction" | "op_Multiply" | "op_Division" | "op_Modulus") ->
                // after the calling convention and the count
                reader.GetBlobBytes called.Signature |> List.ofArray |> List.skip 2 |> hasNumber
            | _ -> false

/// Methods of an assembly that hand numbers on unheld.
let private unheldIn (assembly: Assembly) = [
    use file = new PEReader(File.OpenRead assembly.Location)
    let reader = file.GetMetadataReader()

    for handle in reader.MethodDefinitions do
        let found = reader.GetMethodDefinition handle

        if found.RelativeVirtualAddress <> 0 then
            let body = nonNull (file.GetMethodBody(found.RelativeVirtualAddress).GetILBytes())

            let declaring = reader.GetTypeDefinition(found.GetDeclaringType())
            let owner = reader.GetString declaring.Name

            if owner <> "Scalars" && calls body |> List.exists (isUnheld reader) then
                $"{owner}.{reader.GetString found.Name}"
]

/// Two ways to do it wrong, for the test to find.
[<MethodImpl(MethodImplOptions.NoInlining)>]
let unheldOperator (tensor: torch.Tensor) = tensor * 2.0

[<MethodImpl(MethodImplOptions.NoInlining)>]
let unheldConversion (tensor: torch.Tensor) =
    tensor.clamp_min (Scalar.op_Implicit 1L)

[<MethodImpl(MethodImplOptions.NoInlining)>]
let held (tensor: torch.Tensor) =
    (tensor * tensor).clamp_min(Scalars.Kept 1.0)

[<Tests>]
let tests =
    testList "Native.HeldScalars" [
        test "every number the core hands to a tensor operation is held" {
            Expect.isEmpty (unheldIn (typeof<Scalars>.Assembly)) "use Scalars.Kept in these methods"
        }

        test "and every number the program hands" {
            Expect.isEmpty (unheldIn (typeof<DQ.Pipeline.StageError>.Assembly)) "use Scalars.Kept in these methods"
        }

        test "operators and conversions are found, held numbers and tensors are not" {
            let here = unheldIn (Assembly.GetExecutingAssembly())
            Expect.contains here $"HeldScalarsTests.{nameof unheldOperator}" "operator"
            Expect.contains here $"HeldScalarsTests.{nameof unheldConversion}" "conversion"
            Expect.isFalse (List.contains $"HeldScalarsTests.{nameof held}" here) "held"
        }
    ]

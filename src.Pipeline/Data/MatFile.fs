/// Reads numeric arrays of MATLAB's level-5 MAT-files, the default of `save` before version 7.3. The sizes that a file
/// claims are checked against its length before memory is allocated.
/// Source: MathWorks, MAT-File Format, level 5. Little-endian files; real parts only; sparse, cell and structure arrays
/// are skipped.
module DQ.Pipeline.Data.MatFile

open System
open System.Buffers.Binary
open System.IO
open System.IO.Compression
open System.Text
open DQ.Core

/// A numeric array.
type NumericArray = {
    Name: string
    /// The first dimension varies fastest.
    Dimensions: int list
    /// The type of its stored values: a `mi…` number.
    Type: int
    Values: byte[]
}

let private headerBytes = 128
let private miInt8 = 1
let private miUInt8 = 2
let private miMatrix = 14
let private miCompressed = 15

/// zlib makes at most this many bytes from one.
let private mostInflation = 1032L

/// Bytes per value by type; 0 if the type is not numeric.
let private bytesPerValue kind =
    match kind with
    | 1
    | 2 -> 1
    | 3
    | 4 -> 2
    | 5
    | 6
    | 7 -> 4
    | 9
    | 12
    | 13 -> 8
    | _ -> 0

let private invalid message = raise (InvalidDataException message)

let private exactly (stream: Stream) count =
    let bytes = Array.zeroCreate<byte> count

    if stream.ReadAtLeast(bytes.AsSpan(), count, throwOnEndOfStream = false) < count then
        invalid "the file ends inside an element"

    bytes

let private skip (stream: Stream) (count: int64) =
    let buffer = Array.zeroCreate<byte> 65536
    let mutable left = count

    while left > 0L do
        let read = stream.Read(buffer, 0, int (min left (int64 buffer.Length)))

        if read = 0 then
            invalid "the file ends inside an element"

        left <- left - int64 read

let private uint32At (bytes: byte[]) place =
    BinaryPrimitives.ReadUInt32LittleEndian(ReadOnlySpan(bytes, place, 4))

/// The tag of an element inside another: its type, its length, and its data if they are in the tag itself.
let private tag (stream: Stream) =
    let bytes = exactly stream 8
    let first = uint32At bytes 0

    if first >>> 16 <> 0u then
        let count = int (first >>> 16)

        if count > 4 then
            invalid $"expected a short element of at most 4 bytes, got {count}"

        int (first &&& 0xFFFFu), int64 count, Some bytes[4 .. 3 + count]
    else
        int first, int64 (uint32At bytes 4), None

/// An element with a maximum number of bytes, and the padding behind it.
let private small (stream: Stream) what (most: int64) =
    match tag stream with
    | kind, _, Some data -> kind, data
    | kind, count, None ->
        if count > most then
            invalid $"expected at most {most} bytes for an array's {what}, got {count}"

        let data = exactly stream (int count)
        skip stream ((8L - count % 8L) % 8L)
        kind, data

/// The array that begins here, if it is numeric and `wanted`; `most` is what the element can hold.
let private matrix (stream: Stream) (wanted: string -> bool) (most: int64) =
    let _, flags = small stream "flags" 8L

    if flags.Length < 8 then
        invalid "expected 8 bytes of flags in an array"

    let kind = int flags[0]
    let _, dimensions = small stream "dimensions" 256L
    let _, name = small stream "name" 256L
    let name = Encoding.ASCII.GetString name
    // classes 6 to 15 are the numeric ones; bit 3 of the flags means complex
    if kind < 6 || kind > 15 || flags[1] &&& 8uy <> 0uy || not (wanted name) then
        None
    else
        let sizes = [
            for place in 0..4 .. dimensions.Length - 4 ->
                BinaryPrimitives.ReadInt32LittleEndian(ReadOnlySpan(dimensions, place, 4))
        ]

        if sizes.IsEmpty || sizes |> List.exists (fun size -> size < 1) then
            invalid $"{name}: expected dimensions above 0, got {sizes}"

        let count =
            (1L, sizes)
            ||> List.fold (fun product size ->
                let product = bigint product * bigint size

                if product > bigint Int32.MaxValue then
                    invalid $"{name}: expected at most {Int32.MaxValue} values, got dimensions {sizes}"

                int64 product)

        let stored, bytes, inTag = tag stream
        let expected = count * int64 (bytesPerValue stored)

        if expected = 0L || bytes <> expected then
            invalid $"{name}: expected {count} numbers for dimensions {sizes}, got {bytes} bytes of type {stored}"

        if expected > min most (int64 Array.MaxLength) then
            invalid $"{name}: expected at most {most} bytes in this element, got {expected} claimed"

        Some {
            Name = name
            Dimensions = sizes
            Type = stored
            Values = inTag |> Option.defaultWith (fun () -> exactly stream (int expected))
        }

/// The numeric arrays of a file with these names; an `InvalidDataException` describes a problem of the file.
let read (path: string) (names: string list) : NumericArray list =
    use file = RegularFile.OpenRead path
    let start = Array.zeroCreate<byte> FileKind.Looked

    let looked =
        file.ReadAtLeast(start.AsSpan(), start.Length, throwOnEndOfStream = false)

    let what = FileKind.Describe(ReadOnlySpan(start, 0, looked))
    let isHdf5 = what.Contains("HDF5", StringComparison.Ordinal)

    if isHdf5 || (looked >= headerBytes && start[124] = 0uy && start[125] = 2uy) then
        invalid "expected a MAT-file of level 5, got a MATLAB 7.3 (HDF5) file: save it again with -v7"

    if looked < headerBytes then
        invalid $"expected a MAT-file of level 5, got {what}"

    file.Position <- 0L
    let header = exactly file headerBytes

    match char header[126], char header[127] with
    | 'I', 'M' -> ()
    | 'M', 'I' -> invalid "expected a little-endian MAT-file, got a big-endian one"
    | _ -> invalid $"expected a MAT-file of level 5, got {what}"

    let wanted name = List.contains name names
    let arrays = ResizeArray<NumericArray>()

    while arrays.Count < names.Length && file.Position < file.Length do
        let head = exactly file 8
        let kind, bytes = int (uint32At head 0), int64 (uint32At head 4)
        let start = file.Position

        if bytes > file.Length - start then
            invalid $"expected at most the {file.Length - start} bytes that are left for an element, got {bytes}"

        if kind = miCompressed then
            use inflated = new ZLibStream(file, CompressionMode.Decompress, leaveOpen = true)

            match tag inflated with
            | inner, _, None when inner = miMatrix ->
                matrix inflated wanted (bytes * mostInflation) |> Option.iter arrays.Add
            | _ -> ()
        elif kind = miMatrix then
            matrix file wanted bytes |> Option.iter arrays.Add

        // arrays are padded to 8 bytes, compressed elements are not
        file.Position <- start + bytes

    List.ofSeq arrays

/// The values as whole numbers, for any stored type.
let integers (array: NumericArray) : int[] =
    let size = bytesPerValue array.Type

    [|
        for place in 0..size .. array.Values.Length - size do
            let at = ReadOnlySpan(array.Values, place, size)

            match array.Type with
            | kind when kind = miInt8 -> int (sbyte at[0])
            | kind when kind = miUInt8 -> int at[0]
            | 3 -> int (BinaryPrimitives.ReadInt16LittleEndian at)
            | 4 -> int (BinaryPrimitives.ReadUInt16LittleEndian at)
            | 5 -> BinaryPrimitives.ReadInt32LittleEndian at
            | 6 -> int (BinaryPrimitives.ReadUInt32LittleEndian at)
            | 7 -> int (BinaryPrimitives.ReadSingleLittleEndian at)
            | 9 -> int (BinaryPrimitives.ReadDoubleLittleEndian at)
            | 12 -> int (BinaryPrimitives.ReadInt64LittleEndian at)
            | _ -> int (BinaryPrimitives.ReadUInt64LittleEndian at)
    |]

/// Event files, read back by a reader of the tests that knows the published format only.
module DQ.Tests.Formats.TensorBoardEventsTests

open System
open System.IO
open System.Text
open Expecto
open DQ.Core.Formats

/// CRC32C by the polynomial, a bit at a time.
let private crc32c (data: byte[]) =
    let step (sum: uint32) (one: byte) =
        (sum ^^^ uint32 one, [ 1..8 ])
        ||> List.fold (fun sum _ ->
            if sum &&& 1u = 1u then
                (sum >>> 1) ^^^ 0x82F63B78u
            else
                sum >>> 1)

    ~~~(Array.fold step UInt32.MaxValue data)

let private masked data =
    let sum = crc32c data
    ((sum >>> 15) ||| (sum <<< 17)) + 0xa282ead8u

/// The data of each record; fails where a checksum is not the data's.
let private records (file: byte[]) =
    let rec read place = [
        if place < file.Length then
            let length = file[place .. place + 7]
            let count = int (BitConverter.ToUInt64(length, 0))
            Expect.equal (BitConverter.ToUInt32(file, place + 8)) (masked length) "checksum of the length"
            let data = file[place + 12 .. place + 11 + count]
            Expect.equal (BitConverter.ToUInt32(file, place + 12 + count)) (masked data) "checksum of the data"
            data
            yield! read (place + 16 + count)
    ]

    read 0

/// Fields of a message: number, and a varint, eight bytes, four bytes or bytes, as bytes.
let private fields (message: byte[]) =
    let varint place =
        let rec go place shift sum =
            let sum = sum ||| ((uint64 message[place] &&& 0x7fUL) <<< shift)

            if message[place] < 0x80uy then
                sum, place + 1
            else
                go (place + 1) (shift + 7) sum

        go place 0 0UL

    let rec read place = [
        if place < message.Length then
            let key, place = varint place

            let value, next =
                match key &&& 7UL with
                | 0UL ->
                    let value, next = varint place
                    BitConverter.GetBytes value, next
                | 1UL -> message[place .. place + 7], place + 8
                | 5UL -> message[place .. place + 3], place + 4
                | 2UL ->
                    let length, place = varint place
                    message[place .. place + int length - 1], place + int length
                | other -> failtestf "wire type %d" other

            key >>> 3, value
            yield! read next
    ]

    Map(read 0)

/// The numbers of an event file: time, step, tag, value.
let scalars (file: byte[]) =
    let all = records file |> List.map fields
    Expect.equal (Encoding.UTF8.GetString all.Head[3UL]) "brain.Event:2" "the version comes first"

    [
        for event in all.Tail do
            let value = (fields event[5UL])[1UL] |> fields

            BitConverter.ToDouble(event[1UL], 0),
            BitConverter.ToInt64(event[2UL], 0),
            Encoding.UTF8.GetString value[1UL],
            BitConverter.ToSingle(value[2UL], 0)
    ]

[<Tests>]
let tests =
    testList "Formats.TensorBoardEvents" [
        test "the checksum is CRC32C, masked" {
            // RFC 3720, B.4: 32 bytes of zeros, and 0 to 31
            Expect.equal (crc32c (Array.zeroCreate 32)) 0x8A9136AAu "the reader's own"
            Expect.equal (crc32c [| 0uy .. 31uy |]) 0x46DD794Eu "the reader's own"

            for data in [ [||]; [| 0uy .. 31uy |]; Encoding.UTF8.GetBytes "123456789" ] do
                Expect.equal (TensorBoardEvents.MaskedChecksum(ReadOnlySpan data)) (masked data) "ours"
        }

        test "what is written is read back" {
            let events = [
                1700000000.25, 1L, "train/loss", 4.5
                1700000001.5, 300L, "validation/ä", -0.125
                1700000002.0, 5_000_000_000L, "perplexity/level0.codebook1", 12.0
            ]

            use stream = new MemoryStream()

            TensorBoardEvents.Write(
                stream,
                1700000000.0,
                [ for time, step, tag, value in events -> ScalarEvent(time, step, tag, value) ]
            )

            Expect.equal
                (scalars (stream.ToArray()))
                [ for time, step, tag, value in events -> time, step, tag, float32 value ]
                "all of it"
        }
    ]

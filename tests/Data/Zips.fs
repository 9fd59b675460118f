/// Zips byte by byte, as no archiver would write them.
module DQ.Tests.Data.Zips

open System.IO
open System.Text
open DQ.Core.Formats

type Entry = {
    Name: byte[]
    Flags: int
    Method: int
    Extra: byte[]
    Content: byte[]
    /// What the directory says of its length.
    Claimed: int64
    /// Unix type and mode.
    Mode: int
}

let latin (text: string) = Encoding.Latin1.GetBytes text

/// A stored file.
let entry (name: string) (content: byte[]) = {
    Name = Encoding.UTF8.GetBytes name
    Flags = 0x800
    Method = 0
    Extra = [||]
    Content = content
    Claimed = content.LongLength
    Mode = 0o100644
}

/// With a name of an old code page, and no word of which.
let old (name: byte[]) content = {
    entry "" content with
        Name = name
        Flags = 0
}

/// The field that gives a name in Unicode to who knows it; the checksum says which name it replaces.
let unicodePath (of': byte[]) (name: string) = [|
    let path = Encoding.UTF8.GetBytes name
    yield! System.BitConverter.GetBytes 0x7075us
    yield! System.BitConverter.GetBytes(uint16 (5 + path.Length))
    1uy
    yield! System.BitConverter.GetBytes(Crc32.Of(System.ReadOnlySpan of'))
    yield! path
|]

let bytes (entries: Entry list) : byte[] =
    use memory = new MemoryStream()
    use writer = new BinaryWriter(memory)
    let offsets = ResizeArray<int64>()

    for e in entries do
        offsets.Add memory.Position
        let crc = Crc32.Of(System.ReadOnlySpan e.Content)
        writer.Write 0x04034b50u

        for value in [ 20; e.Flags; e.Method; 0; 0 ] do
            writer.Write(uint16 value)

        writer.Write crc
        writer.Write(uint32 e.Content.Length)
        writer.Write(uint32 e.Claimed)
        writer.Write(uint16 e.Name.Length)
        writer.Write(uint16 e.Extra.Length)
        writer.Write e.Name
        writer.Write e.Extra
        writer.Write e.Content

    let start = memory.Position

    for e, offset in Seq.zip entries offsets do
        let crc = Crc32.Of(System.ReadOnlySpan e.Content)
        writer.Write 0x02014b50u

        for value in [ (3 <<< 8) ||| 20; 20; e.Flags; e.Method; 0; 0 ] do
            writer.Write(uint16 value)

        writer.Write crc
        writer.Write(uint32 e.Content.Length)
        writer.Write(uint32 e.Claimed)

        for value in [ e.Name.Length; e.Extra.Length; 0; 0; 0 ] do
            writer.Write(uint16 value)

        writer.Write(uint32 e.Mode <<< 16)
        writer.Write(uint32 offset)
        writer.Write e.Name
        writer.Write e.Extra

    let size = memory.Position - start
    writer.Write 0x06054b50u

    for value in [ 0; 0; entries.Length; entries.Length ] do
        writer.Write(uint16 value)

    writer.Write(uint32 size)
    writer.Write(uint32 start)
    writer.Write 0us
    writer.Flush()
    memory.ToArray()

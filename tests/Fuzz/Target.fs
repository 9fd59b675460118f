/// What is called on changed files.
module DQ.Tests.Fuzz.Target

open System.IO
open System.IO.Compression
open DQ.Pipeline
open DQ.Tests.Fixtures
open DQ.Tests.TemporaryFolder

/// A reader, real files for it, and how it is called on a changed one.
type Target = {
    Name: string
    Files: byte[] list
    /// In an empty folder; an error is the reader's refusal.
    Read: string -> byte[] -> Result<unit, StageError>
}

let inFile (folder: string) name (content: byte[]) =
    let path = Path.Combine(folder, name)
    File.WriteAllBytes(path, content)
    path

/// A reader that says what is wrong by an exception.
let throwing name files (read: string -> unit) = {
    Name = name
    Files = files
    Read = fun folder content -> Ok(read (inFile folder "file" content))
}

let bytesOf parts = File.ReadAllBytes(fixture parts)

let allOf parts (pattern: string) = [
    for file in
        Directory.GetFiles(fixture parts, pattern, SearchOption.AllDirectories)
        |> Array.sort -> File.ReadAllBytes file
]

let inMemory (write: Stream -> unit) =
    use memory = new MemoryStream()
    write memory
    memory.ToArray()

let gzipped (content: byte[]) =
    inMemory (fun memory ->
        use packed = new GZipStream(memory, CompressionMode.Compress, leaveOpen = true)
        packed.Write(content, 0, content.Length))

let written (write: string -> unit) =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "file")
        write path
        File.ReadAllBytes path)

namespace DQ.Pipeline.Data

open System
open System.IO
open System.IO.Compression
open DQ.Pipeline

/// Files by name, whether they lie in a folder, in a zip, or in the zips of a folder that has nothing else.
type FileTree = {
    /// What messages call the place.
    Root: string
    /// Names with forward slashes, in ordinal order.
    Files: string[]
    /// All folders, the empty ones too.
    Folders: string[]
    /// The files on disk behind it all, for the fingerprint.
    Origins: SourceFile list
    /// A file's content. Called from several threads.
    Read: string -> byte[]
    Close: unit -> unit
}

module FileTree =
    let private isZip (path: string) =
        path.EndsWith(".zip", StringComparison.OrdinalIgnoreCase)

    /// What file systems and archivers leave behind.
    let private isHidden (name: string) =
        name.Split '/'
        |> Array.exists (fun part -> part.StartsWith '.' || part = "__MACOSX")

    let private parents (name: string) = [
        for place in 0 .. name.Length - 1 do
            if name[place] = '/' then
                name[.. place - 1]
    ]

    let private ordinal (names: string seq) =
        let names = names |> Seq.distinct |> Array.ofSeq
        Array.Sort(names, StringComparer.Ordinal)
        names

    let private ofFolder (root: string) =
        let found = DirectoryInfo(root).GetFileSystemInfos("*", SearchOption.AllDirectories)

        let name (info: FileSystemInfo) =
            Path.GetRelativePath(root, info.FullName).Replace('\\', '/')

        let files = [
            for info in found do
                match info with
                | :? FileInfo as file when not (isHidden (name file)) -> {
                    Name = name file
                    Path = file.FullName
                    Bytes = file.Length
                    ModifiedUtc = file.LastWriteTimeUtc
                  }
                | _ -> ()
        ]

        {
            Root = root
            Files = files |> List.map _.Name |> ordinal
            Folders =
                [
                    for info in found do
                        if info :? DirectoryInfo then
                            name info
                ]
                |> List.filter (not << isHidden)
                |> ordinal
            Origins = files |> List.sortWith (fun a b -> String.CompareOrdinal(a.Name, b.Name))
            Read = fun name -> File.ReadAllBytes(Path.Combine(root, name))
            Close = ignore
        }

    /// An archive whose list of entries can be read.
    let private openZip (zip: string) =
        try
            let archive = ZipFile.OpenRead zip
            archive.Entries |> ignore
            archive
        with :? InvalidDataException as problem ->
            raise (InvalidDataException($"{Path.GetFileName zip}: not a whole zip: {problem.Message}", problem))

    let private ofZips (root: string) (zips: string list) =
        let archives = [ for zip in zips -> openZip zip ]

        let entries = [
            for archive in archives do
                for entry in archive.Entries do
                    let name = entry.FullName.Replace('\\', '/')

                    if not (isHidden (name.TrimEnd '/')) then
                        name, archive, entry
        ]

        let files = entries |> List.filter (fun (name, _, _) -> not (name.EndsWith '/'))

        let byName =
            dict [
                for name, archive, entry in List.distinctBy (fun (name, _, _) -> name) files -> name, (archive, entry)
            ]

        // an archive is one stream: unpacking takes turns, decoding what was unpacked does not
        let read name =
            let archive, entry = byName[name]

            lock archive (fun () ->
                use stream = entry.Open()
                let content: byte[] = Array.zeroCreate (int entry.Length)
                stream.ReadExactly(content.AsSpan())
                content)

        {
            Root = root
            Files = ordinal byName.Keys
            Folders =
                [
                    for name, _, _ in entries do
                        yield! parents name
                ]
                |> ordinal
            Origins = [
                for zip in zips -> ImageSource.file (Path.GetDirectoryName(Path.GetFullPath zip) |> string) zip
            ]
            Read = read
            Close =
                fun () ->
                    for archive in archives do
                        archive.Dispose()
        }

    /// Lists a folder or a zip.
    let open' (path: string) : Result<FileTree, StageError> =
        ImageSource.guard path (fun () ->
            if File.Exists path then
                if isZip path then
                    Ok(ofZips path [ path ])
                else
                    Error(Data $"{path}: expected a folder or a .zip of images")
            elif not (Directory.Exists path) then
                Error(Data $"{path}: expected a folder or a .zip of images, found nothing there")
            else
                let tree = ofFolder path

                if tree.Files.Length > 0 && Array.forall isZip tree.Files then
                    Ok(ofZips path [ for name in tree.Files -> Path.Combine(path, name) ])
                else
                    Ok tree)

    /// Folders directly inside a folder ("" is the root), by their own names.
    let foldersIn (folder: string) tree =
        let prefix = if folder = "" then "" else folder + "/"

        [|
            for name in tree.Folders do
                if
                    name.StartsWith(prefix, StringComparison.Ordinal)
                    && name.IndexOf('/', prefix.Length) < 0
                then
                    name[prefix.Length ..]
        |]

    /// Files anywhere below a folder, by their full names.
    let filesUnder (folder: string) tree =
        if folder = "" then
            tree.Files
        else
            tree.Files |> Array.filter _.StartsWith(folder + "/", StringComparison.Ordinal)

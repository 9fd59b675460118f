namespace DQ.Pipeline.Data

open System
open System.Collections.Generic
open System.IO
open DQ.Core
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Core.Formats
open DQ.Pipeline

/// Files by name, in a folder, in a zip, or in the zips of a folder that contains nothing else.
type FileTree = {
    /// Name of the place in messages.
    Root: string
    /// Names with forward slashes, in ordinal order.
    Files: string[]
    /// All folders, also empty ones.
    Folders: string[]
    /// All files on disk, for the fingerprint.
    Origins: SourceFile list
    /// Images without a usable name.
    LeftOut: CorruptImage list
    /// Notes for the user, one line each.
    Notes: string list
    /// A file's content, with a maximum number of bytes. An exception gives the reason why it can't be read. Called
    /// from several threads.
    Read: int64 -> string -> byte[]
    Close: unit -> unit
}

module FileTree =
    let isImage (name: string) =
        ImageFile.Extensions
        |> Seq.exists (fun extension -> name.EndsWith(extension, StringComparison.OrdinalIgnoreCase))

    let isZip (path: string) =
        path.EndsWith(".zip", StringComparison.OrdinalIgnoreCase)

    let private parents (name: string) = [
        for place in 0 .. name.Length - 1 do
            if name[place] = '/' then
                name[.. place - 1]
    ]

    let private ordinal (names: string seq) =
        let names = names |> Seq.distinct |> Array.ofSeq
        Array.Sort(names, StringComparer.Ordinal)
        names

    let private invalid message = raise (InvalidDataException message)

    let private listed most (names: string list) =
        let shown = names |> List.truncate most |> String.concat ", "
        if names.Length > most then shown + ", …" else shown

    let private ofFolder (root: string) =
        let walk = FolderWalk.walk root
        let byName = dict [ for file in walk.Files -> file.Name, file ]

        let read most name =
            match byName.TryGetValue name with
            | true, { Problem = Some problem } -> invalid problem
            | true, file -> RegularFile.ReadAllBytes(file.Path, most)
            | _ -> invalid "expected a file, found none of that name"

        {
            Root = root
            Files = ordinal byName.Keys
            Folders = ordinal walk.Folders
            Origins = walk.Files
            LeftOut = []
            Notes =
                match walk.LinksLeft with
                | [] -> []
                | links -> [
                    $"{root}: {links.Length} links lead to files or folders that were read already; they were not followed: {listed 3 links}"
                  ]
            Read = read
            Close = ignore
        }

    /// The name of an entry inside the zip, without parts that say nothing; None for one that is absolute or leads out
    /// of it.
    let private insideName (name: string) =
        let name = name.Replace('\\', '/')
        let parts = name.Split '/'

        if
            name.StartsWith '/'
            || parts[0].EndsWith ':'
            || (name.Length > 1 && name[1] = ':' && Char.IsAsciiLetter name[0])
            || Array.contains ".." parts
            || name.Contains '\000'
        then
            None
        else
            let inner = parts |> Array.filter (fun part -> part <> "" && part <> ".")
            Some(String.concat "/" inner + (if name.EndsWith '/' then "/" else ""))

    let private openZip (zip: string) =
        try
            ZipDirectory.OpenRead zip
        with :? WeightsException as problem ->
            raise (InvalidDataException($"{Path.GetFileName zip}: {problem.Message}", problem))

    let private ofOpened (root: string) (zips: string list) (archives: ZipDirectory list) =
        let entries = [
            for zip, archive in List.zip zips archives do
                for entry in archive.Entries do
                    insideName entry.Name, string (Path.GetFileName zip), archive, entry
        ]

        let isFile (name: string) =
            name <> "" && not (name.EndsWith '/') && not (FolderWalk.isHidden name)

        let byName =
            Dictionary<string, string * ZipDirectory * ZipFileEntry>(StringComparer.Ordinal)

        let notes = List<string>()

        for name, zip, archive, entry in entries do
            match name with
            | Some name when isFile name ->
                if entry.Encrypted then
                    invalid $"{zip}: '{name}' is encrypted: expected a zip without a password"

                if not (byName.TryAdd(name, (zip, archive, entry))) then
                    let other, _, first = byName[name]

                    if other <> zip && (first.Checksum, first.Bytes) = (entry.Checksum, entry.Bytes) then
                        notes.Add $"{root}: '{name}' is the same in {other} and {zip}, and read once"
                    elif other = zip then
                        invalid $"{zip}: two entries get the name '{name}': expected each once"
                    else
                        invalid $"{other} and {zip} both have '{name}', with other contents: expected each name once"
            | _ -> ()

        {
            Root = root
            Files = ordinal byName.Keys
            Folders =
                [
                    for name, _, _, _ in entries do
                        match name with
                        | Some name when not (FolderWalk.isHidden (name.TrimEnd '/')) -> yield! parents name
                        | _ -> ()
                ]
                |> ordinal
            Origins = [
                for zip in zips -> ImageSource.file (Path.GetDirectoryName(Path.GetFullPath zip) |> string) zip
            ]
            LeftOut = [
                for name, zip, _, entry in entries do
                    if name.IsNone && isImage entry.Name then
                        CorruptImage(
                            $"{zip}: {entry.Name}",
                            "expected a name inside the zip, got one that leads out of it"
                        )
            ]
            Notes = List.ofSeq notes
            Read =
                fun most name ->
                    match byName.TryGetValue name with
                    | true, (_, archive, entry) -> archive.ReadAll(entry, most)
                    | _ -> invalid "expected a file, found none of that name"
            Close =
                fun () ->
                    for archive in archives do
                        archive.Dispose()
        }

    let private ofZips (root: string) (zips: string list) =
        let opened = List<ZipDirectory>()

        try
            for zip in zips do
                opened.Add(openZip zip)

            ofOpened root zips (List.ofSeq opened)
        with _ ->
            for archive in opened do
                archive.Dispose()

            reraise ()

    /// Lists a folder or a zip.
    let open' (path: string) : Result<FileTree, StageError> =
        ImageSource.guard path (fun () ->
            if Directory.Exists path then
                let tree = ofFolder path
                let zips = tree.Files |> Array.filter isZip

                if zips.Length > 0 && zips.Length = tree.Files.Length then
                    let zips = ofZips path [ for name in zips -> Path.Combine(path, name) ]

                    Ok {
                        zips with
                            Notes = tree.Notes @ zips.Notes
                    }
                elif zips.Length > 0 && not (Array.exists isImage tree.Files) then
                    let others = tree.Files |> Array.filter (not << isZip) |> List.ofArray

                    Error(
                        Data
                            $"{path}: found zips ({listed 3 (List.ofArray zips)}) beside other files ({listed 3 others}) and no images: expected images, or zips and nothing else; name one zip, unpack them, or take the other files out"
                    )
                else
                    Ok tree
            elif not (File.Exists path) then
                Error(Data $"{path}: expected a folder or a .zip of images, found nothing there")
            elif isZip path then
                Ok(ofZips path [ path ])
            else
                let what = FileKind.Describe path
                Error(Data $"{path}: expected a folder or a .zip of images, found {what}"))

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

    /// All files below a folder, by their full names.
    let filesUnder (folder: string) tree =
        if folder = "" then
            tree.Files
        else
            tree.Files |> Array.filter _.StartsWith(folder + "/", StringComparison.Ordinal)

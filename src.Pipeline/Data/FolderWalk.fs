namespace DQ.Pipeline.Data

open System
open System.Collections.Generic
open System.IO

/// The files and folders below a folder.
type Walk = {
    /// In ordinal order of their names.
    Files: SourceFile list
    /// All folders, also empty ones.
    Folders: string list
    /// Links to files and folders that were already found, which are not followed.
    LinksLeft: string list
}

/// Walks folders: every real folder and every real file is visited once, whatever links lead to it. First come the real
/// entries, then the targets of links, in ordinal order of their names.
module FolderWalk =
    let private mostLinks = 40

    /// Names that file systems and archivers create.
    let isHidden (name: string) =
        name.Split '/'
        |> Array.exists (fun part -> part.StartsWith '.' || part = "__MACOSX")

    let private parts (path: string) =
        path.Split(
            [| Path.DirectorySeparatorChar; Path.AltDirectorySeparatorChar |],
            StringSplitOptions.RemoveEmptyEntries
        )
        |> List.ofArray

    /// The path with its links resolved; for a circle of links, as far as possible.
    let realPath (path: string) =
        let rec follow links (resolved: string) rest =
            match rest with
            | [] -> resolved
            | (part: string) :: rest ->
                let here = Path.Combine(resolved, part)

                match (FileInfo here).LinkTarget with
                | NonNull target when links < mostLinks ->
                    let target = Path.GetFullPath(target, resolved)
                    let root = string (Path.GetPathRoot target)
                    follow (links + 1) root (parts target[root.Length ..] @ rest)
                | _ -> follow links here rest

        let whole = Path.GetFullPath path
        let root = string (Path.GetPathRoot whole)
        follow 0 root (parts whole[root.Length ..])

    /// Walks a folder; throws IOException or UnauthorizedAccessException if a folder below it can't be listed.
    let walk (root: string) : Walk =
        let files = List<SourceFile>()
        let folders = List<string>()
        let linksLeft = List<string>()
        let links = Queue<string * string>()
        let visited = HashSet<string>(StringComparer.Ordinal)
        let roots = List<string>()

        let add name (path: string) real =
            if visited.Add real then
                files.Add(ImageSource.fileCalled name path)
            else
                linksLeft.Add name

        let rec visit (name: string) (folder: string) (real: string) =
            visited.Add real |> ignore
            let entries = DirectoryInfo(folder).GetFileSystemInfos()
            Array.sortInPlaceWith (fun (a: FileSystemInfo) b -> String.CompareOrdinal(a.Name, b.Name)) entries

            for entry in entries do
                let inner = if name = "" then entry.Name else $"{name}/{entry.Name}"

                if not (isHidden entry.Name) then
                    match entry with
                    | _ when not (isNull entry.LinkTarget) -> links.Enqueue(inner, entry.FullName)
                    | :? DirectoryInfo ->
                        folders.Add inner
                        visit inner entry.FullName (Path.Combine(real, entry.Name))
                    | _ -> add inner entry.FullName (Path.Combine(real, entry.Name))

        let isAbove (folder: string) =
            let inside =
                Path.TrimEndingDirectorySeparator folder + string Path.DirectorySeparatorChar

            roots.Exists(fun root -> root.StartsWith(inside, StringComparison.Ordinal))

        let start name folder =
            let real = realPath folder
            roots.Add real
            visit name folder real

        start "" root

        while links.Count > 0 do
            let name, path = links.Dequeue()
            let real = realPath path

            if not (Directory.Exists path) then
                add name path real
            elif visited.Contains real || isAbove real then
                linksLeft.Add name
            else
                folders.Add name
                start name path

        {
            Files =
                List.ofSeq files
                |> List.sortWith (fun a b -> String.CompareOrdinal(a.Name, b.Name))
            Folders = List.ofSeq folders
            LinksLeft = List.ofSeq linksLeft
        }

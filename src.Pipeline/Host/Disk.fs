namespace DQ.Pipeline.Host

open System.IO
open DQ.Pipeline

/// The disk that a folder is on, or would be on.
type Disk = {
    FreeBytes: int64
    TotalBytes: int64
    /// As the system calls it, such as `ext4` or `nfs4`.
    FileSystem: string
    IsNetwork: bool
}

module Disk =
    let rec private existing (folder: DirectoryInfo) =
        match folder.Exists, folder.Parent with
        | false, NonNull parent -> existing parent
        | _ -> folder

    /// Of the folder, or of the nearest one above it that exists.
    let ofFolder (folder: string) =
        let drive = DriveInfo(existing(DirectoryInfo(Path.GetFullPath folder)).FullName)

        {
            FreeBytes = drive.AvailableFreeSpace
            TotalBytes = drive.TotalSize
            FileSystem = drive.DriveFormat
            IsNetwork = (drive.DriveType = DriveType.Network)
        }

    /// Why a run could end early or be slow there, a line each.
    let warnings (disk: Disk) = [
        if disk.FreeBytes < 2_000_000_000L || disk.FreeBytes < disk.TotalBytes / 50L then
            let percent = 100.0 * float disk.FreeBytes / float (max 1L disk.TotalBytes)

            $"the disk of the artifacts folder is nearly full ({percent:F1} %% free): choose another folder with --artifacts DIR or DQ_ARTIFACTS"
        if disk.IsNetwork then
            $"the artifacts folder is on a network file system ({disk.FileSystem}): several machines can share it; training reads its images from there, which a local disk does faster"
    ]

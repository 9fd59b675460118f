/// One holder at a time, processes and threads alike, for as long as a short piece of work takes.
/// The operating system lets go of it when the holder dies, however it dies.
module DQ.Pipeline.Storage.FileGuard

open System
open System.IO
open System.Threading
open DQ.Pipeline

let private pause = TimeSpan.FromMilliseconds 20.0

/// Holds the file until disposed; waits this long for another holder.
let rec enter (path: string) (patience: TimeSpan) : IDisposable =
    try
        new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None)
    with :? IOException when patience > TimeSpan.Zero && File.Exists path ->
        Thread.Sleep pause
        enter path (patience - pause)

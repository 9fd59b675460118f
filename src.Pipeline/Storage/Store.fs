namespace DQ.Pipeline.Storage

open System
open System.IO
open DQ.Core.Artifacts
open DQ.Pipeline

/// The artifacts folder.
type Store = { Root: string }

/// A run's folder that was read; `Record` says so where it could not be.
type StoredRun = {
    Folder: string
    Record: Result<RunRecord, string>
}

/// What a command finds when it asks for the run of a fingerprint.
type RunClaim =
    /// Finished before; nothing to do.
    | Finished of folder: string * RunRecord
    /// Begun before by a process that is gone, or stopped: go on.
    | Resumed of folder: string * RunRecord * RunLock
    /// Not there; its folder and record were made.
    | Fresh of folder: string * RunRecord * RunLock

module Store =
    let runs store =
        Path.Combine(store.Root, RunLayout.Runs)

    /// To read from; nothing is made.
    let at (root: string) : Store = { Root = Path.GetFullPath root }

    /// To write to: makes the folder where it is missing.
    let openAt (root: string) : Result<Store, StageError> =
        let store = at root

        try
            Directory.CreateDirectory(runs store) |> ignore
            Ok store
        with
        | :? IOException
        | :? UnauthorizedAccessException as error ->
            Error(Storage $"{root}: expected a folder for artifacts, it can't be made: {error.Message.TrimEnd '.'}")

    /// run.json of a folder; an `ArtifactException` where it can't be read.
    let read (folder: string) =
        ArtifactJson.Read<RunRecord>(Path.Combine(folder, RunLayout.Run))

    let private stored folder = {
        Folder = folder
        Record =
            try
                Ok(read folder)
            with :? ArtifactException as error ->
                Error error.Message
    }

    /// The status to show: a run that says running, and whose owner is gone, was interrupted.
    let status folder (record: RunRecord) =
        if record.Status = RunStatus.Running && (RunLock.LivingOwner folder).IsNone then
            RunStatus.Interrupted
        else
            record.Status

    /// All runs, the latest first. A folder without run.json is one whose making was cut short.
    let list store : StoredRun list = [
        if Directory.Exists(runs store) then
            for folder in Directory.GetDirectories(runs store) |> Array.sortDescending do
                if File.Exists(Path.Combine(folder, RunLayout.Run)) then
                    stored folder
    ]

    let private idOf (run: StoredRun) = nonNull (Path.GetFileName run.Folder)

    /// Whether a run is archived; where the annotations can't be read, which is noted, none is.
    let private archive store note =
        try
            let annotations = Annotations.Read store.Root

            fun run ->
                match annotations.TryGetValue(idOf run) with
                | true, annotation -> annotation.Archived
                | _ -> false
        with :? ArtifactException as error ->
            note error.Message
            fun _ -> false

    /// The run that a name means (`RunNames`) among those that are archived or those that are not; `note` is told which, where
    /// others have the name too.
    let findAmong
        store
        (note: string -> unit)
        (archived: bool)
        (name: string)
        : Result<string * RunRecord, StageError> =
        let all = list store
        let isArchived = archive store note

        let named = [|
            for run in all ->
                NamedRun(idOf run, run.Record |> Result.toOption |> Option.toObj, isArchived run <> archived)
        |]

        let meant = RunNames.Find(name, named)

        match Option.ofObj meant.Run, Option.ofObj meant.Text with
        | None, problem -> Error(Data $"{runs store}: {Option.defaultValue name problem}")
        | Some run, which ->
            let stored = all |> List.find (fun stored -> idOf stored = run.Id)

            match stored.Record with
            | Error message -> Error(Data message)
            | Ok record ->
                Option.iter note which
                Ok(stored.Folder, record)

    /// The same among those that are not archived; a whole id means any.
    let find store note name = findAmong store note false name

    /// The same where no other run has the name: for what can't be undone.
    let findOnly store name =
        let others = ResizeArray<string>()

        find store others.Add name
        |> Result.bind (fun run ->
            if others.Count = 0 then
                Ok run
            else
                Error(Data $"{others[0]}; give its whole id"))

    let private slug (name: string) = RunNames.Slug name

    /// The folder of what a name and a fingerprint stand for.
    let folderName (name: string) (fingerprint: string) = $"{slug name}-{fingerprint[..11]}"

    /// A new id of a run of this name: day, name, chance.
    let private newId name =
        let unique = Guid.NewGuid().ToString("N")[..7]

        let date =
            DateTime.UtcNow.ToString("yyyy-MM-dd", Globalization.CultureInfo.InvariantCulture)

        $"{date}-{slug name}-{unique}"

    /// Whether the id is one that a run of this name gets.
    let private isNamed (name: string) (id: string) =
        id.Length = (newId name).Length
        && id.Substring("yyyy-MM-dd-".Length).StartsWith(slug name + "-", StringComparison.Ordinal)

    /// Runs of a fingerprint among all, the latest first. A run of that name that can't be read may be the one sought:
    /// where there is no other, it is an error.
    let ofFingerprint
        (all: StoredRun list)
        (name: string)
        fingerprint
        : Result<(StoredRun * RunRecord) list, StageError> =
        let matching =
            all
            |> List.choose (fun run ->
                match run.Record with
                | Ok record when record.Fingerprint = fingerprint -> Some(run, record)
                | _ -> None)
            |> List.sortByDescending (fun (_, record) -> record.StartedUtc)

        let unread =
            all
            |> List.tryPick (fun run ->
                match run.Record with
                | Error message when isNamed name (idOf run) -> Some message
                | _ -> None)

        match matching, unread with
        | [], Some message -> Error(Data $"{message}; --force begins another run beside it")
        | _ -> Ok matching

    /// One process at a time between looking for a run and locking it.
    let private guarded store (action: unit -> Result<'a, StageError>) =
        use _ =
            FileGuard.enter (Path.Combine(runs store, RunLayout.LockGuard)) (TimeSpan.FromSeconds 30.0)

        action ()

    /// Replaces run.json.
    let save folder (record: RunRecord) =
        ArtifactJson.Write(Path.Combine(folder, RunLayout.Run), record)

    /// Finds the run of a fingerprint, or makes its folder, and locks it unless it is finished.
    /// `describe` gives the record of a new run from its id.
    let claim
        store
        (name: string)
        fingerprint
        force
        (isWhole: string -> RunRecord -> bool)
        (describe: string -> RunRecord)
        : Result<RunClaim, StageError> =
        guarded store (fun () ->
            let earlier =
                if force then
                    Ok []
                else
                    ofFingerprint (list store) name fingerprint

            match earlier with
            | Error error -> Error error
            | Ok((run, record) :: _) when isWhole run.Folder record -> Ok(Finished(run.Folder, record))
            | Ok((run, record) :: _) ->
                RunLock.Take run.Folder
                |> Result.map (fun held -> Resumed(run.Folder, record, held))
            | Ok [] ->
                let id = newId name
                let folder = Path.Combine(runs store, id)
                Directory.CreateDirectory folder |> ignore

                RunLock.Take folder
                |> Result.map (fun held ->
                    let record = describe id
                    save folder record
                    Fresh(folder, record, held)))

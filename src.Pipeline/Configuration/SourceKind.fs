namespace DQ.Pipeline.Configuration

open System.Text.Json
open System.Text.Json.Serialization
open DQ.Pipeline

/// The source of images. On disk and in configurations it is a name: `SourceKind.name`.
[<RequireQualifiedAccess; JsonConverter(typeof<SourceKindConverter>)>]
type SourceKind =
    | DeadLeaves
    | Cifar10
    /// Fine classes.
    | Cifar100
    | Cifar100Coarse
    | Svhn
    | Idx
    | Folder
    | TinyImageNet
    | ImageNetDownsampled
    | Numpy
    | Parquet
    /// Several of them, listed in a file.
    | Mix

    /// The name in configurations.
    member this.Name =
        match this with
        | DeadLeaves -> "dead_leaves"
        | Cifar10 -> "cifar10"
        | Cifar100 -> "cifar100"
        | Cifar100Coarse -> "cifar100_coarse"
        | Svhn -> "svhn"
        | Idx -> "idx"
        | Folder -> "folder"
        | TinyImageNet -> "tiny_imagenet"
        | ImageNetDownsampled -> "imagenet_downsampled"
        | Numpy -> "numpy"
        | Parquet -> "parquet"
        | Mix -> "mix"

and SourceKindConverter() =
    inherit JsonConverter<SourceKind>()

    static let all = [
        SourceKind.DeadLeaves
        SourceKind.Cifar10
        SourceKind.Cifar100
        SourceKind.Cifar100Coarse
        SourceKind.Svhn
        SourceKind.Idx
        SourceKind.Folder
        SourceKind.TinyImageNet
        SourceKind.ImageNetDownsampled
        SourceKind.Numpy
        SourceKind.Parquet
        SourceKind.Mix
    ]

    /// In the order in which messages list them.
    static member All = all

    override _.Read(reader, _, _) =
        let name = string (reader.GetString())

        match all |> List.tryFind (fun kind -> kind.Name = name) with
        | Some kind -> kind
        | None -> raise (JsonException($"expected the name of an image source, got '{name}'"))

    override _.Write(writer, kind, _) = writer.WriteStringValue kind.Name

module SourceKind =
    let all = SourceKindConverter.All

    let names = all |> List.map _.Name

    let name (kind: SourceKind) = kind.Name

    /// Whether each image is a file, of any size.
    let hasImageFiles kind =
        match kind with
        | SourceKind.Folder
        | SourceKind.TinyImageNet
        | SourceKind.Parquet
        | SourceKind.Mix -> true
        | _ -> false

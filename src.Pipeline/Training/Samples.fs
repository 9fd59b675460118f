/// Pictures of reconstructions with a record of what they show.
module DQ.Pipeline.Samples

open System.IO
open DQ.Core
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Images

/// Small images are drawn at least this large, in pixels of the picture.
let private shownSide = 96

/// File of the grid beside its samples.json.
let grid = "reconstructions.png"

/// Writes the grid of these images and samples.json into the folder.
let write (folder: string) (model: HierarchicalAutoencoder) (images: PackedImages) split (indices: int[]) step =
    Directory.CreateDirectory folder |> ignore
    use pixels = images.Gather(System.ReadOnlySpan indices)
    let zoom = max 1 (shownSide / max images.Height images.Width)
    let png = ImageFile.EncodePng(Reconstructions.Grid(model, pixels, zoom))
    AtomicFile.Write(Path.Combine(folder, grid), fun stream -> stream.Write(png, 0, png.Length))

    ArtifactJson.Write(
        Path.Combine(folder, RunLayout.Samples),
        SamplesRecord(Step = step, Split = split, Indices = indices, Rows = Reconstructions.Rows model.Spec)
    )

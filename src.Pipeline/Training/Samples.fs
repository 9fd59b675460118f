/// Pictures of reconstructions, with a record of their content.
module DQ.Pipeline.Training.Samples

open System.Collections.Generic
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Evaluation
open DQ.Core.Images
open DQ.Pipeline

/// Minimum width of an image in the grid, in pixels of the picture.
let private shownSize = 96

/// File of the grid beside its samples.json.
let grid = "reconstructions.png"

/// The first images of a split.
let first count : SampleImage[] =
    Array.init count (fun index -> SampleImage(index, "first"))

/// The first images, and `extremes` each with the lowest and the highest PSNR, the most extreme first.
let choose count extremes (psnrDb: IReadOnlyList<float>) : SampleImage[] =
    let first = first (min count psnrDb.Count)

    let rest = [| for index in first.Length .. psnrDb.Count - 1 -> index, psnrDb[index] |]

    let worst = rest |> Array.sortBy snd |> Array.truncate extremes

    let best =
        rest
        |> Array.except worst
        |> Array.sortByDescending snd
        |> Array.truncate extremes

    [|
        yield! first
        for index, _ in worst -> SampleImage(index, "worst")
        for index, _ in best -> SampleImage(index, "best")
    |]

/// Images and their reconstructions from each part of their codes.
let draw
    (decoder: PartialDecoder)
    (parts: IReadOnlyList<CodePart>)
    (images: PackedImages)
    (chosen: SampleImage[])
    : SampleSheets =
    use pixels =
        images.Gather(System.ReadOnlySpan [| for image in chosen -> image.Index |])

    SampleSheets.Draw(decoder, parts, pixels)

/// Writes a sheet per view, the grid and samples.json into the folder.
let write (folder: string) (images: PackedImages) split (chosen: SampleImage[]) step (sheets: SampleSheets) =
    Directory.CreateDirectory folder |> ignore

    for index, view in Seq.indexed sheets.Views do
        ImageFile.WritePng(Path.Combine(folder, view.File), sheets.Sheet index)

    let columns =
        chosen
        |> Array.filter (fun image -> image.Selection = "first")
        |> Array.length
        |> max 1

    let zoom = max 1 (shownSize / max images.Height images.Width)
    ImageFile.WritePng(Path.Combine(folder, grid), sheets.Grid(columns, zoom))

    ArtifactJson.Write(
        Path.Combine(folder, RunLayout.Samples),
        SamplesRecord(
            Step = step,
            Split = split,
            Channels = images.Channels,
            Height = images.Height,
            Width = images.Width,
            Columns = SampleSheets.Columns,
            Images = chosen,
            Views = sheets.Views
        )
    )

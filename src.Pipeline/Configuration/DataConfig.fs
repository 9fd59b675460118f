namespace DQ.Pipeline.Configuration

open DQ.Pipeline

/// The source of images and the rules for the splits: the `data` part of a configuration.
type DataConfig = {
    /// `dead_leaves`, `cifar10`, `cifar100` (fine classes), `cifar100_coarse`, `svhn`, `idx`, `folder`, `tiny_imagenet`, `imagenet_downsampled`, `numpy`, `parquet` or `mix`.
    Source: SourceKind
    /// Folder, file or zip; null for `dead_leaves`.
    Path: string | null
    /// Width and height of the square images in pixels; null keeps the source's own size (32 for `dead_leaves`;
    /// required for a folder's images).
    ImageSize: int option
    /// Channels, 3 or 1; null keeps the source's own.
    ImageChannels: int option
    /// Number of images to draw: train + validation + test; used by `dead_leaves`.
    Count: int
    /// Images taken from train for validation, by a seeded permutation: a share in (0, 1) or a whole number of images.
    Validation: float
    /// The same for test, if the source has no test split.
    Test: float
    /// Maximum number of images per split, the first in the source's order; 0 takes all.
    Limit: int
    /// Seed of the split permutation and of procedural images.
    Seed: int64
    /// Share of unreadable files above which ingesting fails.
    MaxCorrupt: float
    /// Maximum of height times width of an image file; its header is checked before memory is allocated. Decoding takes
    /// up to ten bytes per pixel.
    MaxPixels: int64
    /// Mirrors each training image left to right with probability one half.
    Flip: bool
    /// Shifts each training image by up to this many pixels in each direction; edges are repeated.
    Shift: int
}

module DataConfig =
    /// All problems of these settings that can be found without opening the images; `file` is their file.
    let problems file (config: DataConfig) : ConfigProblem list =
        let problem key message = {
            File = file
            Key = $"data.{key}"
            Message = message
        }

        let amount key value =
            if
                not (value >= 0.0)
                || System.Double.IsInfinity value
                || (value >= 1.0 && value <> floor value)
            then
                [
                    problem key $"expected a share below 1 or a whole number of images, got {value}"
                ]
            else
                []

        let atLeast least key value =
            if value < least then
                [ problem key $"expected an integer of at least {least}, got {value}" ]
            else
                []

        [
            if config.Source = SourceKind.DeadLeaves then
                match config.Path with
                | null
                | "" -> ()
                | path ->
                    problem
                        "path"
                        $"expected none with data.source dead_leaves, whose images are drawn, got '{path}': say what it holds, such as --set data.source=cifar10"
            else
                match config.Path with
                | null
                | "" ->
                    problem
                        "path"
                        $"expected the folder or file that holds the images of source {config.Source.Name}, got none"
                | path when not (System.IO.Path.Exists path) ->
                    problem "path" $"expected a folder or file that exists, got '{path}'"
                | _ -> ()

            match config.ImageSize with
            | Some size ->
                yield! atLeast 1 "image_size" size
                let side = int64 size

                if side > 0L && config.MaxPixels > 0L && side * side > config.MaxPixels then
                    problem
                        "image_size"
                        $"expected a side whose square is at most data.max_pixels ({config.MaxPixels}), got {side}"
            | None when config.Source = SourceKind.Folder ->
                problem "image_size" "expected the side in pixels to bring a folder's images to, got null"
            | None when config.Source = SourceKind.Parquet ->
                problem "image_size" "expected the side in pixels to bring the images to, got null"
            | None when config.Source = SourceKind.Mix ->
                problem "image_size" "expected the side in pixels to bring the images of all sources to, got null"
            | None -> ()

            match config.ImageChannels with
            | None
            | Some(1 | 3) -> ()
            | Some channels -> problem "image_channels" $"expected 1, 3 or null, got {channels}"

            if config.Source = SourceKind.DeadLeaves then
                yield! atLeast 1 "count" config.Count

            yield! amount "validation" config.Validation
            yield! amount "test" config.Test
            yield! atLeast 0 "limit" config.Limit

            if not (config.MaxCorrupt >= 0.0 && config.MaxCorrupt <= 1.0) then
                problem "max_corrupt" $"expected a share from 0 to 1, got {config.MaxCorrupt}"

            if config.MaxPixels < 1L then
                problem "max_pixels" $"expected an integer of at least 1, got {config.MaxPixels}"

            yield! atLeast 0 "shift" config.Shift
        ]

namespace DQ.Pipeline

/// Where images come from and how they are cut in splits: the `data` part of a configuration.
type DataConfig = {
    /// `dead_leaves`, `cifar10`, `idx`, `folder` or `tiny_imagenet`.
    Source: string
    /// Folder, file or zip; null for `dead_leaves`.
    Path: string | null
    /// Side of the square images in pixels; null keeps the source's own (a folder's images need one).
    ImageSize: System.Nullable<int>
    /// 3 or 1; null keeps the source's own.
    ImageChannels: System.Nullable<int>
    /// Images to make: train + validation + test; used by `dead_leaves`.
    Count: int
    /// Images cut from train, by a seeded permutation, for validation: a share in (0, 1) or a whole number of images.
    Validation: float
    /// The same for test, where the source has no test split of its own.
    Test: float
    /// At most this many images per split, the first of the source's order; 0 takes all.
    Limit: int
    /// Seed of the split permutation and of procedural images.
    Seed: int64
    /// Share of unreadable files above which ingesting fails.
    MaxCorrupt: float
    /// Mirrors each training image left to right with probability one half.
    Flip: bool
    /// Shifts each training image by up to this many pixels either way, edges repeated.
    Shift: int
}

/// Which images of a source go to which split.
module DQ.Pipeline.Data.Splits

open System
open DQ.Core

/// Indices into the source's train split for all three; the source's own validation or test split comes in place of an
/// empty one.
type Cut = {
    Train: int[]
    Validation: int[]
    Test: int[]
}

/// Keeps this permutation apart from the other uses of the same seed.
let private stream = 0x73706C6974L

/// Images that an amount means: a share below 1, rounded, or a number of images.
let amount (value: float) count =
    if value >= 1.0 then
        int value
    else
        int (Math.Round(value * float count))

/// Cuts `count` images: a permutation drawn from the seed gives its first images to validation, the next to test, the rest to
/// train; within a split the source's order stays.
let cut seed count validation test : Result<Cut, string> =
    if validation + test >= count then
        Error $"expected more than the {validation} + {test} images cut for validation and test, got {count} in all"
    else
        let order = Array.zeroCreate count
        let mutable random = SplitMix64(seed, stream)
        random.Permute(order.AsSpan())

        Ok {
            Validation = Array.sort order[.. validation - 1]
            Test = Array.sort order[validation .. validation + test - 1]
            Train = Array.sort order[validation + test ..]
        }

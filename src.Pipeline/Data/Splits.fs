/// Assigns the images of a source to splits.
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

/// Separates this permutation from other uses of the same seed.
let private stream = 0x73706C6974L

/// The number of images of an amount: a share below 1, rounded, or a number of images.
let amount (value: float) count =
    if value >= 1.0 then
        int value
    else
        int (Math.Round(value * float count))

/// Splits `count` images. The first images of a permutation drawn from the seed go to validation, the next to test, the
/// others to train. Within a split the images keep the source's order.
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

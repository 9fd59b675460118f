/// Dead leaves: images that are drawn, not read.
module DQ.Pipeline.Data.Leaves

open DQ.Core.Images
open DQ.Pipeline.Configuration

let private ownSize = 32

/// `count` images of a seed, drawn at `size` if it is given.
let source seed count (size: int option) : ImageSource =
    let size = defaultArg size ownSize

    {
        ClassNames = []
        Shape = Some(3, size, size)
        Train = {
            Count = count
            Labels = None
            Name = fun index -> $"leaves[{index}]"
            Read = fun index -> PixelImage(DeadLeaves.Generate(seed, int64 index, size), 3, size, size)
        }
        Validation = None
        Test = None
        Files = []
        LeftOut = []
        OtherFiles = 0
        Notes = []
        Generator = Some $"dead_leaves/{DeadLeaves.Version}"
        Close = ignore
    }

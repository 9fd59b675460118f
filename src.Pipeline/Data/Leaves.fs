/// Dead leaves: images that are drawn, not read.
module DQ.Pipeline.Data.Leaves

open DQ.Core.Images
open DQ.Pipeline.Configuration

let private ownSide = 32

/// `count` images of a seed, drawn at `side` where one is asked for.
let source seed count (side: int option) : ImageSource =
    let side = defaultArg side ownSide

    {
        ClassNames = []
        Shape = Some(3, side, side)
        Train = {
            Count = count
            Labels = None
            Name = fun index -> $"leaves[{index}]"
            Read = fun index -> PixelImage(DeadLeaves.Generate(seed, int64 index, side), 3, side, side)
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

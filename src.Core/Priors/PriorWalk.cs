namespace DQ.Core.Priors;

/// <summary>
/// Goes through the codes of images of one size in the order of the prior: levels top down, positions in raster order, codebooks in
/// order, and the images side by side, so that products have many rows. Encoder and decoder both go this way.
/// </summary>
internal sealed class PriorWalk
{
    private readonly FrozenPrior prior;
    private readonly IReadOnlyList<(int Height, int Width)> grids;

    /// <param name="prior">The prior.</param>
    /// <param name="grids">Rows and columns of each level's grid, bottom first.</param>
    public PriorWalk(FrozenPrior prior, IReadOnlyList<(int Height, int Width)> grids) => (this.prior, this.grids) = (prior, grids);

    /// <param name="codes">Per image and level, bottom first, a flat array of (M, H, W); the visitor's codes are written into it.</param>
    /// <param name="visitor">Called for each code.</param>
    /// <param name="cancellation">Ends the work early.</param>
    public void Run<TVisitor>(int[][][] codes, ref TVisitor visitor, CancellationToken cancellation)
        where TVisitor : ICodeVisitor, allows ref struct
    {
        for (var level = grids.Count - 1; level >= 0; level--)
            new PriorLevelWalk(prior, grids, level, codes).Run(ref visitor, cancellation);
    }
}

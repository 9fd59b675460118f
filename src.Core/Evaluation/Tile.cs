namespace DQ.Core.Evaluation;

/// <summary>A rectangle of a picture, in pixels.</summary>
internal readonly record struct Area(int Top, int Left, int Height, int Width)
{
    public int Bottom => Top + Height;

    public int Right => Left + Width;
}

/// <summary>A part of a picture that is worked on alone, with enough around it that it comes out as in the whole.</summary>
/// <param name="Core">What it is worked on for; the cores of all tiles cover the picture once.</param>
/// <param name="Whole">The core and what is around it, inside the picture.</param>
internal readonly record struct Tile(Area Core, Area Whole)
{
    /// <summary>Tiles from the top left, row by row.</summary>
    /// <param name="height">Of the picture.</param>
    /// <param name="width">Likewise.</param>
    /// <param name="side">Of a core, a multiple of <paramref name="step"/>; at the picture's edges they are smaller.</param>
    /// <param name="around">Pixels around a core that it depends on.</param>
    /// <param name="step">All tiles begin at multiples of it.</param>
    public static IReadOnlyList<Tile> Of(int height, int width, int side, int around, int step)
    {
        var tiles = new List<Tile>();
        for (var top = 0; top < height; top += side)
        for (var left = 0; left < width; left += side)
        {
            var core = new Area(top, left, Math.Min(side, height - top), Math.Min(side, width - left));
            var (wholeTop, wholeLeft) = (Begin(top), Begin(left));
            tiles.Add(new(core, new(wholeTop, wholeLeft, End(core.Bottom, height) - wholeTop, End(core.Right, width) - wholeLeft)));
        }
        return tiles;

        int Begin(int place) => Math.Max(0, place - around) / step * step;
        // up to a multiple of the step, so that no padding is inside the picture
        int End(int place, int most) => (int)Math.Min(most, ((long)place + around + step - 1) / step * step);
    }
}

using TorchSharp.Modules;
using static TorchSharp.torch;

namespace DQ.Core.Autoencoders;

/// <summary>How far modules look, in pixels of the image.</summary>
/// <remarks>
/// A position of a map stands for a square of <paramref name="Jump"/> pixels. What it depends on lies within its square, widened by
/// <paramref name="Pixels"/> on every side: a 3×3 convolution, a 4×4 one of stride 2 and its transpose, each with padding 1, widen by one
/// square of their input.
/// </remarks>
/// <param name="Pixels">On every side.</param>
/// <param name="Jump">Pixels between neighbours of the map.</param>
internal readonly record struct Reach(int Pixels, int Jump)
{
    /// <summary>After a module that takes maps to maps, its parts one after the other; a residual block's own path is within its other.</summary>
    public Reach Through(nn.Module module) =>
        module switch
        {
            Conv2d { kernel_size: [1, ..] } => this,
            Conv2d convolution => new(Pixels + Jump, Jump * (int)convolution.stride[0]),
            ConvTranspose2d transposed => new(Pixels + Jump, Jump / (int)transposed.stride[0]),
            NearestUpsample { Factor: > 1 } upsample => new(Pixels + Jump, Jump / upsample.Factor),
            _ => module.children().Aggregate(this, (reach, part) => reach.Through(part)),
        };
}

namespace DQ.Core.Artifacts;

/// <summary>The numbers of the paper's table 2: VGG-16's last features for ImageNet, 7 quantizers of width 74.</summary>
/// <param name="Slicing"><c>pixel</c> or <c>channel</c>.</param>
/// <param name="Codes">Code count K.</param>
/// <param name="Error">As printed: the "mean norm" of the difference. The paper does not say over what it is averaged, and the number rises
/// with K.</param>
/// <param name="Entropy">Entropy of the codes in nats, by its equation 7.</param>
public sealed record PublishedDensity(string Slicing, int Codes, double Error, double Entropy)
{
    public static IReadOnlyList<PublishedDensity> All { get; } =
    [new("pixel", 32, 0.192, 1.98), new("channel", 32, 0.184, 2.53), new("pixel", 1024, 0.523, 3.64), new("channel", 1024, 0.480, 3.99)];

    public static PublishedDensity? Find(string slicing, int codes) =>
        All.FirstOrDefault(known => (known.Slicing, known.Codes) == (slicing, codes));
}

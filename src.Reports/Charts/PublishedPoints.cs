namespace DQ.Reports.Charts;

/// <summary>Published results that runs stand beside in the rate–distortion plane.</summary>
public static class PublishedPoints
{
    /// <summary>Code rate of five codebooks on an 8 × 8 and a 4 × 4 grid with 128 and 256 codes for a 32 × 32 image, as published.</summary>
    private const double Rate = 5.0 * (64 * 7 + 16 * 8) / 3072;

    private static readonly PlaneGroup Cifar10 = new(
        "published (CIFAR-10)",
        [
            new(Rate, 2.52 / Math.Log(2), "DQ, published", "Fostiropoulos and Boehm 2022: 2.52 nats/dim, printed as bits/dim"),
            new(Rate, 3.11 / Math.Log(2), "VQ, published", "Fostiropoulos and Boehm 2022: 3.11 nats/dim"),
        ],
        Hollow: true
    );

    /// <summary>Those on one of these data sets.</summary>
    public static IEnumerable<PlaneGroup> For(IReadOnlySet<string> datasets) => datasets.Contains("cifar10") ? [Cifar10] : [];
}

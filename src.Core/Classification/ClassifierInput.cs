namespace DQ.Core.Classification;

/// <summary>The input of a classifier's backbone.</summary>
public static class ClassifierInput
{
    /// <summary>The normalized image.</summary>
    public const string Pixels = "pixels";

    /// <summary>The embedded codes of a trained autoencoder, which does not change: the second of two stages.</summary>
    public const string Codes = "codes";

    /// <summary>The quantized maps of an autoencoder that is trained at the same time: a classifier head on an autoencoder.</summary>
    public const string Autoencoder = "autoencoder";

    public static IReadOnlyList<string> Names { get; } = [Pixels, Codes, Autoencoder];
}

namespace DQ.Core.Classification;

/// <summary>What a classifier's backbone sees.</summary>
public static class ClassifierInput
{
    /// <summary>The normalized image.</summary>
    public const string Pixels = "pixels";

    /// <summary>The embedded codes of a trained autoencoder that stays as it is: the second of two stages.</summary>
    public const string Codes = "codes";

    /// <summary>The quantized maps of an autoencoder that is trained along: a classifier head on an autoencoder.</summary>
    public const string Autoencoder = "autoencoder";

    public static IReadOnlyList<string> Names { get; } = [Pixels, Codes, Autoencoder];
}

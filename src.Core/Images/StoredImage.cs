namespace DQ.Core.Images;

/// <summary>An image file's content without loss.</summary>
/// <param name="Colors">Gray or red, green, blue.</param>
/// <param name="Alpha">Alpha channel; null if the file has none.</param>
/// <param name="Profile">ICC profile; null if the file has none.</param>
public sealed record StoredImage(PixelImage Colors, PixelImage? Alpha, byte[]? Profile);

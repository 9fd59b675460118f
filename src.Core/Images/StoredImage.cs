namespace DQ.Core.Images;

/// <summary>An image file's content with nothing lost.</summary>
/// <param name="Colors">Gray or red, green, blue.</param>
/// <param name="Alpha">Opacities, one channel; null where the file has none.</param>
/// <param name="Profile">ICC profile; null where the file has none.</param>
public sealed record StoredImage(PixelImage Colors, PixelImage? Alpha, byte[]? Profile);

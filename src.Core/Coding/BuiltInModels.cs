namespace DQ.Core.Coding;

/// <summary>
/// The models that come with the program, for pictures of any kind: files of <c>Coding/BuiltIn</c>, as <see cref="FrozenContextFile"/>
/// writes them. Put others there, and these are others.
/// </summary>
public static class BuiltInModels
{
    private static readonly Lazy<CodingModels> Models = new(() => new CodingModels(Read("color.dqm"), Read("gray.dqm")));

    /// <summary>For color and for gray.</summary>
    public static CodingModels All => Models.Value;

    private static FrozenContext Read(string name)
    {
        using var stream =
            typeof(BuiltInModels).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"{name} is not in this program");
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return FrozenContextFile.Read(bytes.ToArray());
    }
}

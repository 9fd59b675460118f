namespace DQ.Core.BitAllocation;

/// <summary>The scalar quantizers by their names in configurations.</summary>
public static class ChannelQuantizers
{
    public static IReadOnlyList<string> Names { get; } = ["uniform", "dorefa", "logarithmic"];

    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="logBase">Base of the logarithmic quantizer.</param>
    public static ChannelQuantizer Create(string name, double logBase) =>
        name switch
        {
            "uniform" => new UniformQuantizer(),
            "dorefa" => new DoReFaQuantizer(),
            "logarithmic" => new LogarithmicQuantizer(logBase),
            _ => throw new ArgumentException($"expected one of {string.Join(", ", Names)}, got '{name}'", nameof(name)),
        };
}

namespace DQ.Core.Coding;

/// <summary>What is added to a pixel's mixture before it is used: nothing. <see cref="LearnedCorrections"/> adds what it has learned.</summary>
internal unsafe class MixtureCorrections
{
    private readonly int[] _weights;

    /// <param name="padded">Components in whole vectors.</param>
    public MixtureCorrections(int padded) => _weights = GC.AllocateArray<int>(padded, pinned: true);

    /// <summary>Of the logarithms of weights, 16 bits behind the point.</summary>
    public int* Weights => ContextNet.Address(_weights);

    /// <summary>Of the means of a channel in units of the mixture, 16 bits behind the point.</summary>
    public int Mean(int channel) => Means[channel];

    /// <summary>Of the logarithms of scales of a channel, 16 bits behind the point.</summary>
    public int LogScale(int channel) => LogScales[channel];

    protected int[] Means { get; } = new int[3];
    protected int[] LogScales { get; } = new int[3];

    /// <summary>Forgets what was learned: a stream begins.</summary>
    public virtual void Reset() { }

    /// <summary>Sets the corrections of a pixel.</summary>
    /// <param name="contrasts">Of its channels, indices of <see cref="ContrastTables"/>.</param>
    public virtual void Begin(int* contrasts) { }

    /// <summary>Learns from a channel's value.</summary>
    /// <param name="channel">Which.</param>
    /// <param name="start">The sum of the frequencies of lower values.</param>
    /// <param name="frequency">The value's own.</param>
    public virtual void Learn(int channel, uint start, uint frequency) { }

    /// <summary>Learns from all of a pixel's values.</summary>
    /// <param name="before">The weights of components, which sum to 2²⁴ or a little less.</param>
    /// <param name="after">What they are once the values are known.</param>
    public virtual void Learn(int* before, int* after) { }
}

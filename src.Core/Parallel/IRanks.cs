namespace DQ.Core.Parallel;

/// <summary>The processes that are one training, each a rank. All call the same of this in the same order, from one thread at a time.</summary>
public interface IRanks : IDisposable
{
    /// <summary>This process's number, from 0.</summary>
    int Rank { get; }

    /// <summary>How many there are; 1 for a process of its own, to which everything below costs nothing.</summary>
    int Count { get; }

    /// <summary>The machine that each of them runs on.</summary>
    IReadOnlyList<string> Hosts { get; }

    /// <summary>Replaces the numbers by their sums over all ranks, which are the same to the bit on all of them.</summary>
    void Sum(Span<float> values);

    /// <inheritdoc cref="Sum(Span{float})"/>
    void Sum(Span<double> values);

    /// <summary>Replaces the bytes by those of rank 0.</summary>
    void Broadcast(Span<byte> bytes);

    /// <summary>What each rank gives, by rank, on all of them.</summary>
    IReadOnlyList<byte[]> Gather(ReadOnlySpan<byte> bytes);

    /// <summary>Returns when all ranks are here. Takes no processor's time meanwhile: for what may take long, such as an evaluation.</summary>
    void Await();

    /// <summary>Ends the processes of all ranks with this exit code, this one among them, wherever they are.</summary>
    void Abort(int exitCode);
}

/// <summary>A process that trains alone.</summary>
public sealed class OneProcess : IRanks
{
    public static OneProcess Instance { get; } = new();

    private OneProcess() { }

    public int Rank => 0;

    public int Count => 1;

    public IReadOnlyList<string> Hosts { get; } = [Environment.MachineName];

    public void Sum(Span<float> values) { }

    public void Sum(Span<double> values) { }

    public void Broadcast(Span<byte> bytes) { }

    public IReadOnlyList<byte[]> Gather(ReadOnlySpan<byte> bytes) => [bytes.ToArray()];

    public void Await() { }

    public void Abort(int exitCode) => Environment.Exit(exitCode);

    public void Dispose() { }
}

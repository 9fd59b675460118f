using System.Diagnostics;
using System.Text;

namespace DQ.Core.Parallel;

/// <summary>The processes of an MPI launcher. A failure inside of MPI ends all of them: that is the library's own default.</summary>
public sealed unsafe class MpiRanks : IRanks
{
    private const int ThreadSerialized = 2; // the work moves between threads, one at a time
    private const int LargestCount = 1 << 28; // counts are 32-bit

    private static readonly TimeSpan ShortWait = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);

    private readonly MpiLibrary mpi;
    private readonly delegate* unmanaged<void*, void*, int, nint, nint, nint, int> allReduce;
    private readonly delegate* unmanaged<void*, int, nint, int, nint, int> broadcast;
    private readonly delegate* unmanaged<void*, int, nint, void*, int, nint, nint, int> allGather;
    private readonly delegate* unmanaged<nint, nint*, int> beginBarrier;
    private readonly delegate* unmanaged<nint*, int*, nint, int> test;
    private long since; // when the call that runs began, as a stopwatch counts; 0 in none

    private MpiRanks(MpiLibrary mpi, Launch launch)
    {
        this.mpi = mpi;
        allReduce = (delegate* unmanaged<void*, void*, int, nint, nint, nint, int>)mpi.Export("MPI_Allreduce");
        broadcast = (delegate* unmanaged<void*, int, nint, int, nint, int>)mpi.Export("MPI_Bcast");
        allGather = (delegate* unmanaged<void*, int, nint, void*, int, nint, nint, int>)mpi.Export("MPI_Allgather");
        beginBarrier = (delegate* unmanaged<nint, nint*, int>)mpi.Export("MPI_Ibarrier");
        test = (delegate* unmanaged<nint*, int*, nint, int>)mpi.Export("MPI_Test");
        var initialize = (delegate* unmanaged<void*, void*, int, int*, int>)mpi.Export("MPI_Init_thread");
        var (level, rank, count) = (0, 0, 0);
        Expect(initialize(null, null, ThreadSerialized, &level), "MPI_Init_thread");
        var ask = (delegate* unmanaged<nint, int*, int>)mpi.Export("MPI_Comm_rank");
        Expect(ask(mpi.World, &rank), "MPI_Comm_rank");
        ask = (delegate* unmanaged<nint, int*, int>)mpi.Export("MPI_Comm_size");
        Expect(ask(mpi.World, &count), "MPI_Comm_size");
        (Rank, Count) = (rank, count);
        if (level < ThreadSerialized)
            throw new MpiException($"{mpi.Version}: expected one that several threads may use in turn (MPI_THREAD_SERIALIZED)");
        if (launch.Tasks is { } tasks && tasks != count)
            throw new MpiException(
                $"{launch.Launcher} started {tasks} tasks, and {mpi.Version} ({mpi.File}) sees {count}: they are of different kinds; "
                    + "name the launcher's own library in DQ_MPI, or with srun another --mpi (srun --mpi=list)"
            );
        Try();
        Hosts = [.. Gather(Encoding.UTF8.GetBytes(Environment.MachineName)).Select(Encoding.UTF8.GetString)];
    }

    public int Rank { get; }

    public int Count { get; }

    public IReadOnlyList<string> Hosts { get; }

    /// <summary>How long the call that runs now has waited for other ranks; zero outside of one.</summary>
    public TimeSpan Waiting => Interlocked.Read(ref since) is var began and > 0 ? Stopwatch.GetElapsedTime(began) : TimeSpan.Zero;

    /// <summary>Joins the other processes of a launch.</summary>
    /// <exception cref="MpiException">There is no MPI for it, or one that does not fit.</exception>
    public static MpiRanks Join(Launch launch) => new(MpiLibrary.Load(launch), launch);

    public void Sum(Span<float> values)
    {
        fixed (float* first = values)
            for (var start = 0; start < values.Length; start += LargestCount)
                Reduce(first + start, Math.Min(LargestCount, values.Length - start), mpi.Floats);
    }

    public void Sum(Span<double> values)
    {
        fixed (double* first = values)
            for (var start = 0; start < values.Length; start += LargestCount)
                Reduce(first + start, Math.Min(LargestCount, values.Length - start), mpi.Doubles);
    }

    public void Broadcast(Span<byte> bytes)
    {
        fixed (byte* first = bytes)
            for (var start = 0; start < bytes.Length; start += LargestCount)
                using (Call())
                    Expect(broadcast(first + start, Math.Min(LargestCount, bytes.Length - start), mpi.Bytes, 0, mpi.World), "MPI_Bcast");
    }

    public IReadOnlyList<byte[]> Gather(ReadOnlySpan<byte> bytes)
    {
        var lengths = new int[Count];
        var own = bytes.Length;
        fixed (int* target = lengths)
            Gather(&own, target, sizeof(int));
        // all as long as the longest
        var row = lengths.Max();
        var (padded, all) = (new byte[row], new byte[row * Count]);
        bytes.CopyTo(padded);
        if (row > 0)
            fixed (byte* source = padded)
            fixed (byte* target = all)
                Gather(source, target, row);
        return [.. lengths.Select((length, rank) => all.AsSpan(rank * row, length).ToArray())];
    }

    public void Await()
    {
        using var _ = Call();
        Meet();
    }

    public void Abort(int exitCode) => ((delegate* unmanaged<nint, int, int>)mpi.Export("MPI_Abort"))(mpi.World, exitCode);

    /// <summary>Leaves the others, who leave too: returns when all do.</summary>
    public void Dispose()
    {
        Await();
        Expect(((delegate* unmanaged<int>)mpi.Export("MPI_Finalize"))(), "MPI_Finalize");
    }

    /// The handles are values of a header file: a library that reads them otherwise is found out here
    private void Try()
    {
        Span<double> doubles = [Rank + 1, 0.5];
        Span<float> floats = [Rank + 1, 0.5f];
        Sum(doubles);
        Sum(floats);
        var ranks = Count * (Count + 1) / 2;
        if (doubles[0] != ranks || doubles[1] != 0.5 * Count || floats[0] != ranks || floats[1] != 0.5f * Count)
            throw new MpiException(
                $"{mpi.Version} ({mpi.File}): adds numbers up wrongly: its binary interface is not one that is known here"
            );
    }

    private void Reduce(void* values, int count, nint type)
    {
        using var _ = Call();
        Meet();
        Expect(allReduce((void*)mpi.InPlace, values, count, type, mpi.Sum, mpi.World), "MPI_Allreduce");
    }

    private void Gather(void* source, void* target, int bytes)
    {
        using var _ = Call();
        Expect(allGather(source, bytes, mpi.Bytes, target, bytes, mpi.Bytes, mpi.World), "MPI_Allgather");
    }

    /// MPI's own calls wait without rest. Ranks that share processors, or wait for one that is at work, let the others have them.
    private void Meet()
    {
        nint request = 0;
        Expect(beginBarrier(mpi.World, &request), "MPI_Ibarrier");
        var clock = Stopwatch.StartNew();
        for (var done = 0; ; )
        {
            Expect(test(&request, &done, mpi.NoStatus), "MPI_Test");
            if (done != 0)
                return;
            if (clock.Elapsed > ShortWait)
                Thread.Sleep(Pause);
            else
                Thread.Yield();
        }
    }

    private Clocked Call() => new(this);

    private void Expect(int outcome, string name)
    {
        if (outcome != 0)
            throw new MpiException($"{mpi.Version}: {name} failed with {outcome}");
    }

    private readonly struct Clocked : IDisposable
    {
        private readonly MpiRanks ranks;

        public Clocked(MpiRanks ranks)
        {
            this.ranks = ranks;
            Interlocked.Exchange(ref ranks.since, Stopwatch.GetTimestamp());
        }

        public void Dispose() => Interlocked.Exchange(ref ranks.since, 0);
    }
}

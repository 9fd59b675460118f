using TorchSharp;

namespace DQ.Core.Native;

/// <summary>
/// Runs the chunks of one piece of work on the calling thread and on pool threads beside it, as many in all as libtorch uses.
/// </summary>
/// <remarks>
/// Chunks are taken in order by whichever thread is free, so work must write results by chunk and sum them afterwards
/// for its result to be independent of scheduling. When the pool is busy the calling thread does everything itself.
/// </remarks>
public abstract class ParallelChunks : IThreadPoolWorkItem
{
    private int count;
    private int next;
    private int done;

    /// <summary>One chunk, 0…count−1, on any thread. Must not throw.</summary>
    protected abstract void Chunk(int index);

    /// <summary>Does all chunks and returns when the last is finished. Once per object.</summary>
    public void Run(int chunks)
    {
        count = chunks;
        for (var helper = Math.Min(torch.get_num_threads(), chunks); helper > 1; helper--)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        TakeChunks();
        var spin = new SpinWait();
        while (Volatile.Read(ref done) < count)
            spin.SpinOnce(sleep1Threshold: -1);
    }

    void IThreadPoolWorkItem.Execute() => TakeChunks();

    private void TakeChunks()
    {
        for (var index = Interlocked.Increment(ref next) - 1; index < count; index = Interlocked.Increment(ref next) - 1)
        {
            Chunk(index);
            Interlocked.Increment(ref done);
        }
    }
}

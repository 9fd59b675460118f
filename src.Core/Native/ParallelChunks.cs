using TorchSharp;

namespace DQ.Core.Native;

/// <summary>
/// Runs the chunks of one piece of work on the calling thread and on pool threads, with as many threads in all as libtorch uses.
/// </summary>
/// <remarks>
/// Free threads take the chunks in order. To be independent of scheduling, work must store its results by chunk and sum them afterwards. If
/// the pool is busy, the calling thread runs all chunks.
/// </remarks>
public abstract class ParallelChunks : IThreadPoolWorkItem
{
    private int count;
    private int next;
    private int done;

    /// <summary>Runs one chunk, 0…count−1, on any thread. Must not throw.</summary>
    protected abstract void Chunk(int index);

    /// <summary>Runs all chunks and returns when the last is finished. It can be called once per object.</summary>
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

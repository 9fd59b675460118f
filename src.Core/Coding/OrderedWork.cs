namespace DQ.Core.Coding;

/// <summary>Work by several threads whose results are taken in the order in which it was given: no more than a few pieces are held.</summary>
internal sealed class OrderedWork<T>(int threads, CancellationToken cancellation)
{
    private readonly TaskFactory<T> _tasks = new(
        cancellation,
        TaskCreationOptions.DenyChildAttach,
        TaskContinuationOptions.None,
        new ConcurrentExclusiveSchedulerPair(TaskScheduler.Default, Math.Max(threads, 1)).ConcurrentScheduler
    );

    private readonly Queue<Task<T>> _queue = new();

    /// <summary>Gives work, and takes the oldest results while more is held than threads need.</summary>
    public IEnumerable<T> Add(Func<T> work)
    {
        _queue.Enqueue(_tasks.StartNew(work));
        while (_queue.Count > threads + 1)
            yield return Take();
    }

    /// <summary>Takes the results that are left.</summary>
    public IEnumerable<T> Finish()
    {
        while (_queue.Count > 0)
            yield return Take();
    }

    /// <summary>Waits until nothing runs any more, whatever came of it.</summary>
    public void Abandon()
    {
        foreach (var task in _queue)
            ((IAsyncResult)task).AsyncWaitHandle.WaitOne();
        _queue.Clear();
    }

    private T Take() => _queue.Dequeue().GetAwaiter().GetResult();
}

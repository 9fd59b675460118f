using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;

namespace DQ.Core.Images;

/// <summary>
/// Makes the items 0, 1, 2… of a sequence on a separate thread, a few ahead of the consumer. Item n is
/// <c>make(n)</c>: the sequence can start anywhere.
/// </summary>
public sealed class Prefetcher<T> : IDisposable
    where T : IDisposable
{
    private readonly BlockingCollection<T> _ready;
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _producer;
    private ExceptionDispatchInfo? _failure;

    /// <param name="make">Makes item n; called on the producer's thread only, with n rising by one.</param>
    /// <param name="first">The first n.</param>
    /// <param name="ahead">Maximum number of items made ahead.</param>
    public Prefetcher(Func<long, T> make, long first, int ahead = 4)
    {
        _ready = new BlockingCollection<T>(ahead);
        _producer = new Thread(() => Produce(make, first)) { IsBackground = true, Name = "prefetch" };
        _producer.Start();
    }

    /// <summary>Returns the next item, and waits for it if necessary. An exception on the producer's thread is thrown here, in the place of
    /// its item.</summary>
    public T Next()
    {
        ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
        if (_ready.TryTake(out var item, Timeout.Infinite))
            return item;
        _failure?.Throw();
        throw new ObjectDisposedException(GetType().Name);
    }

    private void Produce(Func<long, T> make, long first)
    {
        try
        {
            for (var n = first; ; n++)
            {
                var item = make(n);
                try
                {
                    _ready.Add(item, _stop.Token);
                }
                catch
                {
                    item.Dispose();
                    throw;
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // stopped by the consumer
        }
        catch (Exception failure)
        {
            _failure = ExceptionDispatchInfo.Capture(failure);
        }
        finally
        {
            _ready.CompleteAdding();
        }
    }

    public void Dispose()
    {
        if (_stop.IsCancellationRequested)
            return;
        _stop.Cancel();
        _producer.Join();
        while (_ready.TryTake(out var item))
            item.Dispose();
        _ready.Dispose();
    }
}

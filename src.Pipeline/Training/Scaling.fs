/// How long a step takes that several processes share, estimated from how long one process takes.
///
/// T(N) = T(1) · ⌈b/N⌉ / b + 2 · (N − 1)/N · bytes / bandwidth + 2 · messages · ⌈log₂ N⌉ · latency
///
/// b is the number of images of a micro-batch: the largest share decides. The second term is a ring's or a halving and doubling's,
/// which is what MPI and NCCL use for long messages. Each sum has a short meeting before it, which is the factor 2 of the third.
module DQ.Pipeline.Training.Scaling

open System
open DQ.Core.Autoencoders

/// What connects the processes.
type Link = {
    Name: string
    /// Of a process, in each direction.
    BytesPerSecond: float
    LatencySeconds: float
}

/// What such links reach in practice, below their nominal rates.
let links = [
    {
        Name = "NVLink"
        BytesPerSecond = 200e9
        LatencySeconds = 5e-6
    }
    {
        Name = "InfiniBand (200 Gb/s)"
        BytesPerSecond = 20e9
        LatencySeconds = 3e-6
    }
    {
        Name = "25 GbE"
        BytesPerSecond = 2.5e9
        LatencySeconds = 30e-6
    }
]

/// Sums over all processes in a step: gradients and codebooks, losses and choices, and whether to stop.
let private messages = 3.0

/// Share of the processes' time that has to go into images, for them to be worth using.
let worth = 0.7

/// Bytes that a step of this model sums over all processes: gradients, counts and sums of the codes in float32, and losses and
/// choices in float64.
let bytes (spec: AutoencoderSpec) (parameters: int64) : int64 =
    let choices = int64 spec.Codebooks * Seq.sumBy int64 spec.CodeCounts
    4L * (parameters + choices * int64 (spec.CodeWidth + 1)) + 8L * (choices + 4L)

/// Seconds of a step that `ranks` processes share; `alone` is what one process takes, for micro-batches of so many images.
let seconds (link: Link) (bytes: int64) (images: int) (alone: float) (ranks: int) : float =
    if ranks = 1 then
        alone
    else
        let n = float ranks
        let share = ceil (float images / n) / float images

        alone * share
        + 2.0 * (n - 1.0) / n * float bytes / link.BytesPerSecond
        + 2.0 * messages * ceil (Math.Log2 n) * link.LatencySeconds

/// How many times as fast.
let speedup link bytes images alone ranks : float =
    alone / seconds link bytes images alone ranks

/// The most processes that are worth using, up to one for each image of a micro-batch.
let most link bytes (images: int) (alone: float) : int =
    seq { images .. -1 .. 1 }
    |> Seq.find (fun ranks -> ranks = 1 || speedup link bytes images alone ranks >= worth * float ranks)

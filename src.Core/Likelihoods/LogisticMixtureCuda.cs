using DQ.Core.Native;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods;

/// <summary><see cref="LogisticMixture"/>'s loss and gradient as kernels of <c>logistic_mixture.cu</c>.</summary>
/// <remarks>All tensors are contiguous and on one CUDA device.</remarks>
internal sealed unsafe class LogisticMixtureCuda
{
    /// Static shared memory that every device gives a block
    private const int SharedBytes = 48 * 1024;

    private const int MostBlocksPerImage = 64;
    private const int ElementsPerThread = 8;

    private readonly int imageChannels;
    private readonly int outputChannels;
    private readonly int threads;
    private readonly CudaSource source;

    public LogisticMixtureCuda(int imageChannels, int components, int outputChannels)
    {
        (this.imageChannels, this.outputChannels) = (imageChannels, outputChannels);
        // a thread has a column of outputs and joint probabilities
        threads = SharedBytes / sizeof(float) / (outputChannels + components) >= 64 ? 64 : 32;
        Fits = threads * (outputChannels + components) * sizeof(float) <= SharedBytes;
        source = new(
            "logistic_mixture.cu",
            $"COMPONENTS={components} CHANNELS={imageChannels} THREADS={threads}",
            "logistic_mixture_loss logistic_mixture_gradient weigh_gradient"
        );
    }

    /// <summary>Whether the components fit a block's memory.</summary>
    public bool Fits { get; }

    /// <summary>Compiles the kernels unless they are compiled.</summary>
    public CudaModule? Module(int device) => Fits ? CudaKernels.Find(source, device) : null;

    /// <summary>Whether the kernels can compute the loss of an output.</summary>
    public bool Takes(Tensor output) =>
        output.dtype == ScalarType.Float32
        && output.device.type == TorchSharp.DeviceType.CUDA
        && output.numel() > 0
        && output.size(0) * output.size(2) * output.size(3) <= int.MaxValue
        && output.size(1) * output.size(2) * output.size(3) <= uint.MaxValue
        && Module(output.device_index) is not null;

    /// <summary>Enqueues the loss, and the gradient of its mean over the batch.</summary>
    /// <param name="module">The module of the output's device.</param>
    /// <param name="output">(B, OutputChannels, H, W) float32.</param>
    /// <param name="pixels">(B, C, H, W) uint8.</param>
    /// <param name="gradient">Receives the gradient, like the output; null if it is not needed.</param>
    /// <returns>(B) nats per dimension.</returns>
    public Tensor Run(CudaModule module, Tensor output, Tensor pixels, Tensor? gradient)
    {
        using var scope = NewDisposeScope();
        var (batch, area) = (output.size(0), output.size(2) * output.size(3));
        var nats = empty([batch, area], ScalarType.Float32, output.device);
        var (outputStart, pixelsStart, natsStart) = (
            TorchExports.Address(output),
            TorchExports.Address(pixels),
            TorchExports.Address(nats)
        );
        var (planeArea, count) = (checked((uint)area), checked((uint)(batch * area)));
        var blocks = (count + threads - 1) / threads;
        if (gradient is null)
        {
            var arguments = stackalloc void*[] { &outputStart, &pixelsStart, &natsStart, &planeArea, &count };
            module.Launch("logistic_mixture_loss", blocks, threads, arguments);
        }
        else
        {
            var gradientStart = TorchExports.Address(gradient);
            var scale = (float)(1.0 / (area * imageChannels)) * (1f / batch);
            var arguments = stackalloc void*[] { &outputStart, &pixelsStart, &natsStart, &gradientStart, &planeArea, &count, &scale };
            module.Launch("logistic_mixture_gradient", blocks, threads, arguments);
        }
        GC.KeepAlive((output, pixels, gradient));
        return nats.mean([1]).div_(Scalars.Kept((double)imageChannels)).MoveToOuterDisposeScope();
    }

    /// <summary>Enqueues: from the gradient of the mean over the batch, makes that of the weighted sum, in place.</summary>
    /// <param name="module">The module of the gradient's device.</param>
    /// <param name="gradient">(B, OutputChannels, H, W) float32.</param>
    /// <param name="weights">(B) float32.</param>
    public void Weigh(CudaModule module, Tensor gradient, Tensor weights)
    {
        var batch = gradient.size(0);
        var (gradientStart, weightsStart) = (TorchExports.Address(gradient), TorchExports.Address(weights));
        var mean = 1f / batch;
        var perImage = checked((uint)(outputChannels * gradient.size(2) * gradient.size(3)));
        var perBlock = (uint)(threads * ElementsPerThread);
        var blocksPerImage = Math.Clamp(perImage / perBlock, 1, MostBlocksPerImage);
        var arguments = stackalloc void*[] { &gradientStart, &weightsStart, &mean, &perImage, &blocksPerImage };
        module.Launch("weigh_gradient", batch * blocksPerImage, threads, arguments);
        GC.KeepAlive((gradient, weights));
    }
}

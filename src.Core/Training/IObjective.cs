using DQ.Core.Images;
using DQ.Core.Parallel;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>What a session trains: a model, how its losses come about, and what of it goes to a file.</summary>
public interface IObjective : IDisposable
{
    /// <summary>The model. What has no gradient stays as it is.</summary>
    nn.Module Network { get; }

    /// <summary>Its quantizers whose codes learn, bottom first.</summary>
    IReadOnlyList<Quantizer> Quantizers { get; }

    /// <summary>False where <see cref="ChooseFirstCodes"/> is due before the first step.</summary>
    bool CodesAreChosen { get; }

    /// <summary>The codes came with weights from elsewhere: <see cref="ChooseFirstCodes"/> is not due.</summary>
    void KeepCodes();

    /// <summary><see cref="CheckpointFile.Kind"/> of its files.</summary>
    string Kind { get; }

    /// <summary>The codes that learn for an image of so many rows and columns, bottom first.</summary>
    IReadOnlyList<CodeGrid> Grids(int height, int width);

    /// <summary>Chooses the first codes from the first batches, (B, C, H, W) uint8 each, on the device.</summary>
    /// <param name="batches">This rank's share of them.</param>
    /// <param name="seed">Of the choice.</param>
    /// <param name="sharing">How they lie on several ranks; null in one process.</param>
    void ChooseFirstCodes(IReadOnlyList<Tensor> batches, long seed, Sharing? sharing);

    /// <summary>What the loss of a batch is measured against, as many as it has images.</summary>
    /// <exception cref="ArgumentException">The batch lacks it.</exception>
    Tensor Targets(Batch batch);

    /// <summary>A pass with gradients: its losses, and what the quantizers that learn chose.</summary>
    /// <param name="pixels">(B, C, H, W) uint8, on the device.</param>
    /// <param name="targets">Of them.</param>
    /// <param name="moment">Of training.</param>
    (ModelLosses Losses, IReadOnlyList<Quantized> Levels) Pass(Tensor pixels, Tensor targets, TrainingMoment moment);

    /// <summary>A step is about to begin: what passes change besides codes is to be remembered.</summary>
    void Remember() { }

    /// <summary>The step was skipped: back to what was remembered.</summary>
    void Undo() { }

    /// <summary>Writes the model and, when given, its optimizer and its moving average; the file appears whole or not at all.</summary>
    /// <exception cref="IOException">It can't be written; what was there before is intact.</exception>
    void Write(string path, AdamOptimizer? optimizer, TrainingProgress progress, WeightAverage? average);
}

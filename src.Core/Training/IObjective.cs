using DQ.Core.Images;
using DQ.Core.Parallel;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>The object of a session: a model, its losses, and its files.</summary>
public interface IObjective : IDisposable
{
    /// <summary>The model. Parameters without a gradient are not changed.</summary>
    nn.Module Network { get; }

    /// <summary>Its quantizers whose codes learn, bottom first.</summary>
    IReadOnlyList<Quantizer> Quantizers { get; }

    /// <summary>False if <see cref="ChooseFirstCodes"/> must be called before the first step.</summary>
    bool CodesAreChosen { get; }

    /// <summary>Declares that the codes were loaded with weights, so that <see cref="ChooseFirstCodes"/> is not needed.</summary>
    void KeepCodes();

    /// <summary>The <see cref="CheckpointFile.Kind"/> of its files.</summary>
    string Kind { get; }

    /// <summary>The codes that learn, for an image with this height and width, bottom first.</summary>
    IReadOnlyList<CodeGrid> Grids(int height, int width);

    /// <summary>Chooses the first codes from the first batches, (B, C, H, W) uint8 each, on the device.</summary>
    /// <param name="batches">This rank's share of them.</param>
    /// <param name="seed">Of the choice.</param>
    /// <param name="sharing">How they lie on several ranks; null in one process.</param>
    void ChooseFirstCodes(IReadOnlyList<Tensor> batches, long seed, Sharing? sharing);

    /// <summary>The targets of a batch's loss, one per image.</summary>
    /// <exception cref="ArgumentException">The batch has no targets.</exception>
    Tensor Targets(Batch batch);

    /// <summary>A forward pass with gradients: its losses, and the choices of the quantizers that learn.</summary>
    /// <param name="pixels">(B, C, H, W) uint8, on the device.</param>
    /// <param name="targets">Targets of these images.</param>
    /// <param name="moment">Step and micro-batch of training.</param>
    /// <param name="positions">What <see cref="Positions"/> has drawn, on the device.</param>
    (ModelLosses Losses, IReadOnlyList<Quantized> Levels) Pass(Tensor pixels, Tensor targets, TrainingMoment moment, Tensor? positions);

    /// <summary>Draws the pixels of the images that a pass learns from: (P) int64 on the CPU; null for all.</summary>
    Tensor? Positions(Tensor pixels, TrainingMoment moment) => null;

    /// <summary>True if a pass is a function of pixels, positions, weights and codes, whatever the moment, and its targets are
    /// the pixels.</summary>
    bool DependsOnPixelsOnly => false;

    /// <summary>Called before a step: saves the state that forward passes change, except codes.</summary>
    void Remember() { }

    /// <summary>Called after a skipped step: restores the saved state.</summary>
    void Undo() { }

    /// <summary>Writes the model and, when given, its optimizer and its moving average; the file is written completely or not at
    /// all.</summary>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    void Write(string path, AdamOptimizer? optimizer, TrainingProgress progress, WeightAverage? average);
}

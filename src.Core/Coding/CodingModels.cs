namespace DQ.Core.Coding;

/// <summary>The frozen models that pictures are coded with, by number of channels.</summary>
/// <param name="Color">For three channels.</param>
/// <param name="Gray">For one channel.</param>
public sealed record CodingModels(FrozenContext? Color, FrozenContext? Gray)
{
    /// <summary>No models: pictures are coded without.</summary>
    public static CodingModels None { get; } = new(null, null);

    /// <summary>The model for a number of channels, if there is one.</summary>
    public FrozenContext? For(int channels) => channels == 3 ? Color : Gray;

    /// <summary>These models, and those of <paramref name="others"/> where there is none.</summary>
    public CodingModels Or(CodingModels others) => new(Color ?? others.Color, Gray ?? others.Gray);

    /// <summary>One model at its place.</summary>
    public static CodingModels Of(FrozenContext model) => model.Spec.Channels == 3 ? new(model, null) : new(null, model);
}

using System.Text.Json;
using DQ.Core.Formats;

namespace DQ.Core.Autoencoders;

/// <summary>A spec as the JSON that stands in the metadata of weights files; snake_case keys.</summary>
public static class SpecJson
{
    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public static string Write(AutoencoderSpec spec) => JsonSerializer.Serialize(spec, Options);

    /// <param name="json">What is not said has its default.</param>
    /// <param name="where">For messages: a file, and what in it.</param>
    /// <exception cref="WeightsException">Not such JSON, or a spec with problems; the first is said.</exception>
    public static AutoencoderSpec Read(string json, string where)
    {
        try
        {
            var spec =
                JsonSerializer.Deserialize<AutoencoderSpec>(json, Options)
                ?? throw new WeightsException($"{where}: expected an object, got null");
            return spec.Problems() is [var problem, ..] ? throw new WeightsException($"{where}: {problem.Key}: {problem.Message}") : spec;
        }
        catch (JsonException error)
        {
            throw new WeightsException($"{where}: {error.Message}", error);
        }
    }
}

using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DQ.Core.Formats;
using DQ.Core.Likelihoods;

namespace DQ.Core.Autoencoders;

/// <summary>A spec as the JSON in the metadata of weights files, with snake_case keys.</summary>
public static class SpecJson
{
    /// <summary>Keys in snake_case. The keys of a context are written only if the spec has one, as in files of versions without
    /// contexts.</summary>
    public static JsonSerializerOptions Options { get; } =
        new()
        {
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { WithoutUnusedContext } },
        };

    public static string Write(AutoencoderSpec spec) => JsonSerializer.Serialize(spec, Options);

    /// <param name="json">JSON of a spec; absent keys have their defaults.</param>
    /// <param name="where">For messages: the file, and the part of it.</param>
    /// <exception cref="WeightsException">This is not such JSON, or the spec has problems; the message has the first one.</exception>
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

    private static void WithoutUnusedContext(JsonTypeInfo type)
    {
        foreach (var property in type.Properties)
            if (type.Type == typeof(LikelihoodSpec) && property.Name is ("context" or "auxiliary_weight"))
                property.ShouldSerialize = (spec, _) => ((LikelihoodSpec)spec).HasContext;
            else if (type.Type == typeof(AutoencoderSpec) && property.Name == "context")
                property.ShouldSerialize = (spec, _) => ((AutoencoderSpec)spec).Likelihood.HasContext;
    }
}

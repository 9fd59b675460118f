using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace DQ.Core.Artifacts;

/// <summary>A record with its own JSON file.</summary>
public interface IArtifact
{
    /// <summary>The schema version that this program writes.</summary>
    static abstract int CurrentSchema { get; }

    /// <summary>Converts a record of an earlier version to the current one, in place.</summary>
    /// <returns>False if that version can't be converted.</returns>
    static virtual bool Migrate(JsonObject record, int version) => false;

    /// <summary>The version with which the record was written.</summary>
    int Schema { get; }
}

/// <summary>Reads and writes artifacts: with one set of JSON options, with checked versions; files are replaced completely.</summary>
public static class ArtifactJson
{
    /// Maximum size, far above the largest record.
    private const long MostBytes = 1L << 28;

    /// <summary>Options: snake_case, indented, without escapes for other scripts.</summary>
    public static JsonSerializerOptions Options { get; } =
        new()
        {
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            WriteIndented = true,
            NewLine = "\n",
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
        };

    /// <summary>Reads an artifact.</summary>
    /// <exception cref="ArtifactException">The file is missing, damaged, or has a schema version that this program does not know; the
    /// message names it.</exception>
    public static T Read<T>(string path)
        where T : class, IArtifact
    {
        try
        {
            using var document = JsonDocument.Parse(RegularFile.ReadAllBytes(path, MostBytes));
            var root = document.RootElement;
            if (
                root.ValueKind != JsonValueKind.Object
                || !root.TryGetProperty("schema", out var schema)
                || schema.ValueKind != JsonValueKind.Number
                || !schema.TryGetInt32(out var version)
            )
                throw new ArtifactException($"{path}: expected a JSON object with an integer 'schema'");
            var read = version == T.CurrentSchema ? root.Deserialize<T>(Options) : Earlier<T>(JsonObject.Create(root)!, version, path);
            return read ?? throw new ArtifactException($"{path}: expected a JSON object, got null");
        }
        catch (Exception problem) when (problem is JsonException or ArgumentException)
        {
            throw new ArtifactException($"{path}: not the JSON expected: {problem.Message}", problem);
        }
        catch (Exception problem) when (problem is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw new ArtifactException($"{path}: can't be read: {problem.Message}", problem);
        }
    }

    private static T? Earlier<T>(JsonObject record, int version, string path)
        where T : class, IArtifact
    {
        if (!T.Migrate(record, version))
            throw new ArtifactException($"{path}: schema version {version} is unknown; this program understands version {T.CurrentSchema}");
        record["schema"] = T.CurrentSchema;
        return record.Deserialize<T>(Options);
    }

    /// <summary>Writes an artifact; the file is written completely or not at all.</summary>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public static void Write<T>(string path, T artifact)
        where T : class, IArtifact =>
        AtomicFile.Write(
            path,
            stream =>
            {
                JsonSerializer.Serialize(stream, artifact, Options);
                stream.Write("\n"u8);
            }
        );
}

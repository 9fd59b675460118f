namespace DQ.Core.Native;

/// <summary>A file of kernels with the constants that it is compiled with.</summary>
/// <param name="File">Name of the embedded file.</param>
/// <param name="Definitions">Such as <c>THREADS=64</c>, separated by spaces.</param>
/// <param name="Names">Names of the kernels, separated by spaces.</param>
internal sealed record CudaSource(string File, string Definitions, string Names)
{
    public string[] Functions => Names.Split(' ');

    public string Text()
    {
        using var stream = typeof(CudaSource).Assembly.GetManifestResourceStream(File)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    /// <summary>Divisions and numbers near zero are as exact as the formulas need, and faster than IEEE's rules.</summary>
    public string[] Options(string architecture) =>
        [
            $"--gpu-architecture={architecture}",
            "--std=c++17",
            "--prec-div=false",
            "--ftz=true",
            .. Definitions.Split(' ').Select(definition => $"-D{definition}"),
        ];
}

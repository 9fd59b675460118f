namespace DQ.Core;

/// <summary>One thing wrong with a specification: which key, and what was expected of it.</summary>
/// <param name="Key">Dotted path inside the specification, in the configuration's snake_case, such as <c>quantizer.decay</c>.</param>
/// <param name="Message">Expectation and actual value, one line.</param>
public sealed record SpecProblem(string Key, string Message);

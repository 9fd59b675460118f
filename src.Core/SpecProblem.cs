namespace DQ.Core;

/// <summary>One problem of a specification: the key, and what was expected.</summary>
/// <param name="Key">Dotted path inside the specification, in the configuration's snake_case, such as <c>quantizer.decay</c>.</param>
/// <param name="Message">Expectation and actual value, one line.</param>
public sealed record SpecProblem(string Key, string Message);

using System.Text;

namespace DQ.Reports.Catalog;

/// <summary>
/// What is typed to find runs. Every term must fit: <c>word</c>, <c>name:word</c>, <c>lr>=3e-4</c>, <c>seed=2</c>, <c>/expression/</c>,
/// and with <c>-</c> before it, what must not fit. Quotes hold words together.
/// </summary>
/// <param name="Problems">What can't be read, a sentence each. It is left out, and the rest applies.</param>
public sealed record RunSearch(IReadOnlyList<(SearchTerm Term, bool Wanted)> Terms, IReadOnlyList<string> Problems)
{
    /// <summary>The same, for the hint beside the box.</summary>
    public const string Help =
        "All terms must fit. word · name:word, also id, data, method, status, stage, likelihood, tag, note · lr>=3e-4, seed=2, codes!=512: "
        + "settings by their last part, numbers by their key · /regular expression/ · -term: not · \"two words\"";

    public static RunSearch Of(string text)
    {
        var terms = new List<(SearchTerm, bool)>();
        var problems = new List<string>();
        foreach (var word in Split(text))
        {
            var wanted = word is not ['-', _, ..];
            var term = wanted ? word : word[1..];
            try
            {
                terms.Add((SearchTerm.Of(term), wanted));
            }
            catch (Exception error) when (error is ArgumentException or NotSupportedException)
            {
                problems.Add($"{term} is left out: it is not a regular expression that can be searched for. {error.Message}");
            }
        }
        return new(terms, problems);
    }

    public bool Fits(RunEntry run) => Terms.All(one => one.Term.Fits(run) == one.Wanted);

    /// <summary>With the settings that none of these runs has.</summary>
    public IEnumerable<string> ProblemsWith(IReadOnlyList<RunEntry> runs) =>
        [
            .. Problems,
            .. Terms
                .Select(one => one.Term.Setting)
                .OfType<string>()
                .Distinct()
                .Where(key => !runs.Any(run => SearchTerm.Values(run, key).Any()))
                .Select(key => $"No run has a setting or a number named {key}."),
        ];

    /// By spaces, but for those in quotes and in expressions.
    private static IEnumerable<string> Split(string text)
    {
        var word = new StringBuilder();
        var (quoted, expression) = (false, false);
        for (var at = 0; at < text.Length; at++)
        {
            var c = text[at];
            var begins = word.Length == 0 || (word.Length == 1 && word[0] == '-');
            if (c == '"' && !expression)
                quoted = !quoted;
            else if (c == ' ' && !quoted && !expression)
            {
                if (word.Length > 0)
                    yield return word.ToString();
                word.Clear();
            }
            else
            {
                // an expression ends with a slash before a space
                if (c == '/' && begins && text.IndexOf('/', at + 1) > 0)
                    expression = true;
                else if (c == '/' && expression && (at + 1 == text.Length || text[at + 1] == ' '))
                    expression = false;
                word.Append(c);
            }
        }
        if (word.Length > 0)
            yield return word.ToString();
    }
}

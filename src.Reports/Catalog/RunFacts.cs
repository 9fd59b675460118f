using DQ.Reports.Text;

namespace DQ.Reports.Catalog;

/// <summary>What a run is, in a line.</summary>
public static class RunFacts
{
    public static string Of(RunEntry run) =>
        string.Join(
            " · ",
            (
                (string[])
                    [
                        run.Kind,
                        run.Method switch
                        {
                            "" => "",
                            "none" => "not quantized",
                            var method => $"{Show.Words(method)} quantizer",
                        },
                        Show.Words(run.Likelihood),
                        Show.Words(run.Dataset),
                        run.Record is { } record ? $"seed {record.Seed}" : "",
                        run.StartedUtc is { } started ? $"started {Show.Time(started)}" : "",
                        run.Trained is { Seconds: > 0 and var seconds } ? $"trained for {Show.Duration(seconds)}" : "",
                    ]
            ).Where(fact => fact.Length > 0)
        );
}

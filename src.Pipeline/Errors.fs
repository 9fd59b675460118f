namespace DQ.Pipeline

/// One problem of a configuration: its place, and what was expected.
type ConfigProblem = {
    /// The file (or `--set`) of the value.
    File: string
    /// Dotted path, such as `model.codes[0]`; empty if the problem is the file as a whole.
    Key: string
    /// Expectation and actual value, one line.
    Message: string
}

/// The reason why a stage or a command has no output. Each case has its exit code and one line per problem.
type StageError =
    /// The command line is wrong.
    | Usage of message: string
    /// The configuration is wrong; all problems at once.
    | Configuration of ConfigProblem list
    /// A data set or an artifact can't be used; the message names the file and what was expected.
    | Data of message: string
    /// Another process works on the same run.
    | Busy of message: string
    /// An artifact could not be written; an existing one is unchanged.
    | Storage of message: string
    /// NaN or divergence that did not recover.
    | Numerical of message: string
    /// Memory ran out; with the batch size that would fit, if it is known.
    | OutOfMemory of message: string * fittingBatchSize: int option
    /// Stopped by a signal after saving: 2 for Ctrl-C, 15 for SIGTERM.
    | Interrupted of signal: int
    /// Stopped by a signal in a command that saves nothing on the way; what it leaves.
    | Abandoned of signal: int * left: string
    /// Stopped after `--max-minutes`, saved: no failure, but what follows is not done either.
    | TimeUp of minutes: float
    /// A check that the user requested failed.
    | CheckFailed of message: string
    /// Several pieces of work failed, each with its line. If their exit codes are equal, this is the exit code, else 1.
    | Several of messages: string list * exitCode: int

module StageError =
    /// The exit code of the process for an error.
    let exitCode error =
        match error with
        | TimeUp _ -> 0
        | CheckFailed _ -> 1
        | Usage _
        | Configuration _ -> 2
        | Data _
        | Busy _
        | Storage _ -> 3
        | Numerical _ -> 4
        | OutOfMemory _ -> 5
        | Interrupted signal
        | Abandoned(signal, _) -> 128 + signal
        | Several(_, exitCode) -> exitCode

    /// Messages can quote a file's content, which may have line breaks.
    let onOneLine (message: string) =
        String.map (fun letter -> if System.Char.IsControl letter then '·' else letter) message

    let private messages error =
        match error with
        | Usage message
        | Data message
        | Busy message
        | Storage message
        | Numerical message
        | CheckFailed message -> [ message ]
        | Several(messages, _) -> messages
        | Configuration problems -> [
            for problem in problems ->
                [ problem.File; problem.Key; problem.Message ]
                |> List.filter ((<>) "")
                |> String.concat ": "
          ]
        | OutOfMemory(message, Some batch) -> [
            $"{message}; a batch of {batch} would fit: --set training.batch_size={batch}"
          ]
        | OutOfMemory(message, None) -> [ message ]
        | TimeUp minutes -> [
            $"stopped after {minutes} minutes; saved, the same command continues from here"
          ]
        | Abandoned(_, left) -> [ $"interrupted; {left}" ]
        | Interrupted 2 -> [ "interrupted; saved, the same command continues from here" ]
        | Interrupted signal -> [ $"stopped by signal {signal}; saved, the same command continues from here" ]

    /// The lines to print, one per problem.
    let lines error = messages error |> List.map onOneLine

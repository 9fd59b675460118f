/// `dq classify`: classifiers by quantized features, trained and evaluated, or asked about images.
module DQ.Pipeline.Commands.Classify

open System.Threading.Tasks
open Argu
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Host

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string
    | Variant of NAME: string
    | [<Unique>] Steps of N: int64
    | [<Unique>] Keep of N: int
    | [<Unique>] Max_Minutes of MINUTES: float
    | Force
    | [<Unique>] Predict of IMAGE: string list
    | [<Unique>] Top of N: int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config source -> (ModelArguments.Config source :> IArgParserTemplate).Usage
            | Set text -> (ModelArguments.Set text :> IArgParserTemplate).Usage
            | Variant name -> (ModelArguments.Variant name :> IArgParserTemplate).Usage
            | Steps steps -> (ModelArguments.Steps steps :> IArgParserTemplate).Usage
            | Keep count -> (ModelArguments.Keep count :> IArgParserTemplate).Usage
            | Max_Minutes minutes -> (ModelArguments.Max_Minutes minutes :> IArgParserTemplate).Usage
            | Force -> (ModelArguments.Force :> IArgParserTemplate).Usage
            | Predict _ -> "PNG, JPEG or WebP files to classify with a trained run, named in place of CONFIG."
            | Top _ -> "with --predict: this many classes per image, the likeliest first (default: 5)."

let example =
    "dq classify configs/classify-mnist.json --set data.path=mnist\n"
    + "  dq classify classify-mnist-pooled --predict digit.png"

let private train (place: Workplace) (arguments: ParseResults<Arguments>) =
    let options: ModelOptions = {
        Source = arguments.GetResult Config
        Sets = arguments.GetResults Set
        Variant = arguments.TryGetResult Variant
        Steps = arguments.TryGetResult Steps
        Keep = arguments.TryGetResult Keep
        Force = arguments.Contains Force
    }

    ModelOptions.run place options Config.loadClassifiers Pipelines.evaluatedOn
    |> Command.finish (Summary.show place)

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    match arguments.TryGetResult Predict with
    | Some images ->
        Task.Run(fun () -> Predict.run place (arguments.GetResult Config) images (arguments.GetResult(Top, 5)))
    | None when arguments.Contains Top -> Task.FromResult(Error(Usage "--top goes with --predict"))
    | None -> train place arguments

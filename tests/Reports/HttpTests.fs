/// The site from outside: what it serves, to whom, and what it refuses.
module DQ.Tests.Reports.HttpTests

open System
open System.Diagnostics
open System.IO
open System.Net.Http
open System.Net.Sockets
open System.Text
open Expecto
open DQ.Core.Artifacts
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program
open DQ.Tests.Reports.Site

/// A request as it is typed: clients tidy up dots.
let private raw (site: Site) (target: string) =
    use connection = new TcpClient(site.Address.Host, site.Address.Port)
    use stream = connection.GetStream()

    let request =
        $"GET {target} HTTP/1.1\r\nHost: {site.Address.Authority}\r\nConnection: close\r\n\r\n"

    stream.Write(Encoding.ASCII.GetBytes request)
    use reader = new StreamReader(stream)
    reader.ReadToEnd()

let private withHeader (name: string) (value: string) (address: Uri) =
    use request = new HttpRequestMessage(HttpMethod.Get, address)
    request.Headers.TryAddWithoutValidation(name, value) |> ignore
    use response = client.Send request
    int response.StatusCode

[<Tests>]
let tests =
    testSequenced
    <| testList "Reports.Http" [
        test "pages, series, tables and pictures are there; policies allow no inline script and no frame" {
            use site = new Site(artifacts.Value, [])
            let id = runOf artifacts.Value "dq"

            for path in
                [
                    ""
                    $"runs/{id}"
                    $"runs/{id}/settings"
                    $"runs/{id}/files"
                    $"runs/{id}/reconstructions"
                    $"runs/{id}/codebooks"
                    $"compare?run={id}"
                    "sweeps"
                    "chains"
                    $"data/metrics/{id}"
                    "data/runs.csv?q=dq"
                    $"files/runs/{id}/run.json"
                    "_framework/blazor.web.js"
                ] do
                Expect.equal (fst (get site path)) 200 path

            Expect.equal (fst (get site "nothing/here")) 404 "unknown"
            let status, said = get site "runs/nothing"
            Expect.equal status 404 "an unknown run, to programs"
            Expect.stringContains (visible said) "what it showed is gone" "and to people"
            Expect.equal (fst (get site "sweeps/nothing")) 404 "an unknown sweep"
            Expect.equal (fst (get site "chains/nothing")) 404 "an unknown chain"
            Expect.hasLength ((snd (get site "data/runs.csv?q=dq")).TrimEnd().Split '\n') 2 "filtered as the page"
            use response = client.GetAsync(site.Address).GetAwaiter().GetResult()
            let policy = response.Headers.GetValues "Content-Security-Policy" |> Seq.exactlyOne
            Expect.stringContains policy "script-src 'self';" "no inline scripts"
            Expect.stringContains policy "frame-ancestors 'none'" "no frames"
            let html = response.Content.ReadAsStringAsync().GetAwaiter().GetResult()
            Expect.isFalse (html.Contains "<script>") "none is there either"

            for foreign in [ "src=\"http"; "href=\"http"; "url(http"; "src=\"//" ] do
                Expect.isFalse (html.Contains foreign) $"nothing from elsewhere: {foreign}"

            use file =
                client.GetAsync(Uri(site.Address, $"files/runs/{id}/run.json")).GetAwaiter().GetResult()

            Expect.equal
                ((nonNull file.Content.Headers.ContentDisposition).DispositionType)
                "attachment"
                "saved, not shown"
        }

        test "nothing outside of the folder is served, however it is asked for" {
            inCopy (fun folder ->
                let secret =
                    Path.Combine((nonNull (Directory.GetParent folder)).FullName, "dq-secret.txt")

                File.WriteAllText(secret, "the secret")

                File.CreateSymbolicLink(Path.Combine(folder, "runs", "linked.txt"), secret)
                |> ignore

                Directory.CreateSymbolicLink(Path.Combine(folder, "runs", "up"), "..") |> ignore

                try
                    use site = new Site(folder, [])

                    for target in
                        [
                            "/files/../dq-secret.txt"
                            "/files/runs/../../dq-secret.txt"
                            "/files/%2e%2e/dq-secret.txt"
                            "/files/runs/%2e%2e/%2e%2e/dq-secret.txt"
                            "/files/runs%2f..%2f..%2fdq-secret.txt"
                            "/files/%252e%252e/dq-secret.txt"
                            "/files/..%5cdq-secret.txt"
                            "/files/runs/linked.txt"
                            "/files/runs/up/../dq-secret.txt"
                            "/files//etc/passwd"
                            "/files/%2fetc%2fpasswd"
                            "/data/metrics/..%2f..%2fdq-secret.txt"
                            "/../../../../etc/passwd"
                        ] do
                        let answer = raw site target
                        Expect.isFalse (answer.Contains "the secret" || answer.Contains "root:") target
                        Expect.isFalse (answer.StartsWith "HTTP/1.1 200") $"{target}: {answer[..60]}"
                finally
                    File.Delete secret)
        }

        test "another host's name, and another site's page, are refused" {
            use site = new Site(artifacts.Value, [])
            Expect.equal (withHeader "Host" "evil.example" site.Address) 400 "a name that is not this machine's"
            Expect.equal (withHeader "Origin" "https://evil.example" site.Address) 403 "another site"
            let own = site.Address.GetLeftPart UriPartial.Authority
            Expect.equal (withHeader "Origin" own site.Address) 200 "its own"
        }

        test "listening for others asks for a token, once" {
            use site = new Site(artifacts.Value, [ "--urls"; "http://0.0.0.0:0" ])

            let printed = site.Printed
            Expect.equal printed.Host "localhost" "an address that opens"
            let address = Uri(printed, "/")
            Expect.isGreaterThan printed.Query.Length 20 "one was made"

            let status (address: Uri) cookie =
                use request = new HttpRequestMessage(HttpMethod.Get, address)

                if cookie <> "" then
                    request.Headers.Add("Cookie", string cookie)

                use response = client.Send request

                int response.StatusCode,
                match response.Headers.TryGetValues "Set-Cookie" with
                | true, NonNull values -> Seq.head values
                | _ -> ""

            Expect.equal (fst (status address "")) 401 "without"
            Expect.equal (fst (status (Uri(address, "/?token=wrong")) "")) 401 "a wrong one"
            Expect.equal (fst (status (Uri(address, "/data/runs.csv")) "")) 401 "nor data"
            let redirected, cookie = status printed ""
            Expect.equal redirected 302 "then without it in the address"
            Expect.stringContains (cookie.ToLowerInvariant()) "httponly" "out of reach of scripts"
            Expect.equal (fst (status address (cookie.Split(';')[0]))) 200 "from then on"
        }

        test "a token stays in no address, and leads nowhere else" {
            use site =
                new Site(artifacts.Value, [ "--allowed-hosts"; "dq.example.org"; "--token"; "0123456789abcdef" ])

            let address = Uri(site.Address, "/")

            let answer method (target: string) cookie =
                use request = new HttpRequestMessage(method, address)
                request.RequestUri <- Uri $"http://{address.Authority}{target}"

                if cookie then
                    request.Headers.Add("Cookie", $"dq-token-{address.Port}=0123456789abcdef")

                use response = client.Send request

                int response.StatusCode,
                string response.Headers.Location,
                match response.Headers.TryGetValues "Set-Cookie" with
                | true, NonNull values -> Seq.head values
                | _ -> ""

            let get target cookie =
                answer HttpMethod.Get target cookie
                |> fun (status, location, _) -> status, location

            Expect.equal (get "//elsewhere/x?token=0123456789abcdef" false) (302, "/elsewhere/x") "of this site"
            Expect.equal (get "/?q=dq&Token=0123456789abcdef" false) (302, "/?q=dq") "in whatever case"
            Expect.equal (get "/?token=0123456789abcdef" true) (302, "/") "also when the browser asks again"
            Expect.equal (get "/?q=dq" true) (200, "") "then it is known"
            let _, _, cookie = answer HttpMethod.Get "/?token=0123456789abcdef" false
            Expect.stringStarts cookie $"dq-token-{address.Port}=" "another port, another cookie"
            Expect.stringContains cookie "samesite=lax" "a link from elsewhere is followed"
            let status, _, _ = answer HttpMethod.Head "/" true
            Expect.equal status 200 "HEAD"
            use refused = client.GetAsync(address).GetAwaiter().GetResult()

            Expect.equal
                (string refused.Content.Headers.ContentType)
                "text/plain; charset=utf-8"
                "read as it is written"
        }

        test "behind a proxy: by its name, below its path, compressed" {
            use site =
                new Site(
                    artifacts.Value,
                    [
                        "--path-base"
                        "dq"
                        "--allowed-hosts"
                        "dq.example.org"
                        "--token"
                        "0123456789abcdef"
                    ]
                )

            Expect.equal site.Address.AbsolutePath "/dq/" "printed as it is reached"

            let text (path: string) =
                use request = new HttpRequestMessage(HttpMethod.Get, Uri(site.Address, path))
                request.Headers.Host <- "dq.example.org"

                request.Headers.TryAddWithoutValidation("Origin", "https://dq.example.org")
                |> ignore

                request.Headers.Add("X-Forwarded-Proto", "https")
                request.Headers.Add("Accept-Encoding", "gzip")
                request.Headers.Add("Cookie", "dq-token-443=0123456789abcdef")
                use response = client.Send request
                Expect.equal (int response.StatusCode) 200 path
                Expect.contains response.Content.Headers.ContentEncoding "gzip" "compressed"

                use unpacked =
                    new StreamReader(
                        new Compression.GZipStream(
                            response.Content.ReadAsStream(),
                            Compression.CompressionMode.Decompress
                        )
                    )

                unpacked.ReadToEnd()

            let html = text "/dq/"
            Expect.stringContains html "<base href=\"/dq/\"" "the proxy passes its path on"
            Expect.stringContains (text "/") "<base href=\"/dq/\"" "or takes it away"

            let style =
                RegularExpressions.Regex.Match(html, "_content/MudBlazor/[^\"]+css").Value

            Expect.stringContains (text $"/dq/{style}") ".mud-" "other people's files are compressed too"
        }

        test "settings that can't be used are one line" {
            for arguments, said in
                [
                    [ "--token"; "short" ], "--token: expected at least 16 characters, got 5"
                    [ "--token-file"; "/no/such/file" ], "--token-file /no/such/file: "
                    [ "--token-file"; "/dev/zero" ], "--token-file /dev/zero: "
                    [ "--path-base"; "/a b" ], "--path-base: expected a path such as /dq, got '/a b'"
                ] do
                use started = startSite ([ "--artifacts"; artifacts.Value ] @ arguments)
                let errors = started.StandardError.ReadToEnd()
                started.WaitForExit()
                Expect.equal started.ExitCode 2 errors
                Expect.stringStarts errors $"dq: {said}" "which, and why"
                Expect.hasLength (errors.TrimEnd().Split '\n') 1 "one line"
        }

        test "2,002 runs: a search finds its ten" {
            use site = new Site(manyRuns.Value, [])
            let status, html = get site "?q=copy-0199"
            Expect.equal status 200 "answers"
            Expect.stringContains html "10 of 2,002" "found"
        }

        test "the site carries no libtorch" {
            let folder = nonNull (Path.GetDirectoryName(built "src.Reports" "dq-reports.dll"))

            let native =
                Directory.GetFiles(
                    folder,
                    "*torch*",
                    EnumerationOptions(RecurseSubdirectories = true, MatchCasing = MatchCasing.CaseInsensitive)
                )
                |> Array.map Path.GetFileName
                |> Array.distinct // a build for one system lies in a folder below

            Expect.equal native [| "TorchSharp.dll" |] "only names of types"
        }

        test "dq serve starts it and passes SIGTERM on" {
            let started =
                start [ "serve"; "--artifacts"; artifacts.Value; "--urls"; "http://127.0.0.1:0" ]

            let address = Uri(nonNull (started.StandardOutput.ReadLine()))
            use response = client.GetAsync(address).GetAwaiter().GetResult()
            Expect.equal (int response.StatusCode) 200 "serves"
            use killed = Process.Start("/bin/kill", [ "-TERM"; string started.Id ])
            killed.WaitForExit()
            let finished = finish started
            Expect.equal finished.ExitCode 143 finished.Errors

            Expect.throws
                (fun () -> client.GetAsync(address).GetAwaiter().GetResult() |> ignore)
                "the child is gone too"
        }

        test "dq report writes one file that fetches nothing; a wrong run is one line" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "out", "report.html")

                let report runs =
                    run ([ "report"; "--artifacts"; artifacts.Value; "-o"; file ] @ runs)

                let wrong = report [ "no-such-run" ]
                Expect.equal wrong.ExitCode 3 wrong.Errors
                Expect.isFalse (File.Exists file) "nothing half-written"
                let finished = report [ "tiny-dq"; "tiny-vq" ]
                Expect.equal finished.ExitCode 0 finished.Errors
                let html = File.ReadAllText file
                Expect.stringContains (visible html) "tiny-vq" "both are in it"

                for fetched in [ "<link"; "src=\"/"; "src=\"http"; "src=\"lib"; "@import"; "url(\"../" ] do
                    Expect.isFalse (html.Contains fetched) fetched)
        }
    ]

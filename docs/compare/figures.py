#!/usr/bin/env python3
"""Runs the commands of docs/figures.json and prints which figures of the documents hold.

    python3 docs/compare/figures.py [--dq "dq"] [--cifar10 DIR] [--mnist DIR] [--only TEXT]

A command is skipped, with a note, if it needs images whose folder is not given. The exit code is 1 if a figure does not hold.
"""
import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def at(tree, path):
    for part in path.split("."):
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    return tree


def ran(dq, command, artifacts):
    words = shlex.split(dq) + command + ["--quiet", "--artifacts", artifacts]
    finished = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        sys.exit(f"{' '.join(words)}: exit code {finished.returncode}: {finished.stderr.strip()}")
    return json.loads(finished.stdout)


def judged(figure, output, seconds):
    """The measured value and whether it is within the tolerance; seconds are the whole command's, where no path says otherwise."""
    measured = at(output, figure["at"]) * figure.get("scale", 1) if "at" in figure else seconds
    return measured, abs(measured - figure["value"]) <= figure["tolerance"]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--dq", default="dotnet run -c Release --project src.Pipeline --", help="how dq is run")
    options.add_argument("--cifar10", help="the folder of CIFAR-10's binary version")
    options.add_argument("--mnist", help="the folder of MNIST's files")
    options.add_argument("--only", default="", help="only commands that contain this text")
    given = options.parse_args()
    data = {"{cifar10}": given.cifar10, "{mnist}": given.mnist}

    with open(os.path.join(ROOT, "docs", "figures.json"), encoding="utf-8") as file:
        runs = json.load(file)["runs"]

    failed = 0
    for run in runs:
        shown = "dq " + " ".join(run["command"])
        if given.only not in shown:
            continue
        missing = [name for name, folder in data.items() if folder is None and name in shown]
        if missing:
            print(f"left out, needs {', '.join(missing)}: {shown}")
            continue
        command = run["command"]
        for name, folder in data.items():
            command = [word.replace(name, os.path.abspath(folder)) if folder else word for word in command]
        with tempfile.TemporaryDirectory() as artifacts:
            started = time.monotonic()
            for step in run.get("before", []):
                ran(given.dq, step, artifacts)
            output = ran(given.dq, command, artifacts)
            seconds = time.monotonic() - started
        print(f"{shown}\n  {seconds:.0f} s here; documented on {run['machine']}")
        for figure in run["figures"]:
            measured, holds = judged(figure, output, seconds)
            failed += not holds
            verdict = "holds" if holds else "DOES NOT HOLD"
            print(f"  {verdict}: {figure['document']}: {figure['shown']} ± {figure['tolerance']}, measured {measured:.6g}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

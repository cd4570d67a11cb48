"""``llm4top download``: download a base model. The only command that asks the Hub."""

from typing import Annotated

import typer

from llm4top.cli.console import note


def download(
    model: Annotated[
        str,
        typer.Argument(help="A model on the hub (owner/name), a folder to copy, or a GGUF file."),
    ],
    revision: Annotated[
        str | None,
        typer.Option(help="Branch, tag or commit. Default: the newest, pinned to its commit."),
    ] = None,
    save_as: Annotated[
        str | None, typer.Option("--as", help="The name to store it under.", metavar="NAME")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the model that has this name.")
    ] = False,
) -> None:
    """Download a base model for fine-tuning.

    No other command uses the network, unless you give it the address of a server.

    Downloads safetensors, JSON and tokenizer files only, never code or pickles. The commit and the
    sha256 of every file are stored next to them (llm4top-source.json). An interrupted download
    resumes when the command is run again.

    A folder is copied, and a GGUF file, the format of llama.cpp and Ollama, is unpacked into
    safetensors, both without the network. A GGUF file needs the extra [bold]gguf[/bold].

    [bold]Examples[/bold]

        llm4top download Qwen/Qwen3-8B

        llm4top download Qwen/Qwen3-0.6B --revision main

        llm4top download ./qwen3-from-a-stick --as Qwen/Qwen3-8B

        llm4top download ./SmolLM2-135M-Instruct.Q4_1.gguf --as SmolLM2-135M-Instruct
    """
    from llm4top.forecasters.model.download import download_model

    folder, source = download_model(
        model, revision=revision, save_as=save_as, replace=replace, notify=note
    )
    at = f" at {source.commit}" if source.commit else ""
    note(f"{source.name}{at}: {len(source.files)} files with matching sha256, in")
    typer.echo(str(folder))
    note(f"Next: llm4top train --base {source.name} --data DIR --out DIR")

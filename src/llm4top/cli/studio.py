"""``llm4top studio``: the Studio in the browser."""

from dataclasses import dataclass
from typing import Annotated

import typer

from llm4top.lazy import quick_imports


@dataclass(frozen=True)
class Serving:
    """Where the Studio listens, and for whom."""

    host: Annotated[
        str, typer.Option("--host", help="Address to listen on. Any other needs --token.")
    ] = "127.0.0.1"
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any free one.")
    ] = 8642
    token: Annotated[
        bool,
        typer.Option("--token", help="Require a token, which is printed once."),
    ] = False
    behind: Annotated[
        str | None,
        typer.Option(
            "--behind",
            metavar="ADDRESS",
            help="Public address of a reverse proxy in front of it. Needs --token.",
        ),
    ] = None
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address without opening a browser.")
    ] = False


def studio(serving: Serving) -> None:
    """Open the Studio in the browser: forecasts, data, training and reports on this machine.

    It listens on this machine only, and its pages load nothing from other hosts. Ctrl-C stops it.
    To open it from another machine, use a tunnel (ssh -L 8642:127.0.0.1:8642 HOST) or a reverse
    proxy with a separate host name that keeps the Host header and forwards websockets. It cannot
    be served under a path of another site (https://example.org/llm4top).

    [bold]Examples[/bold]

        llm4top studio

        llm4top studio --port 9000 --no-browser

        llm4top studio --host 0.0.0.0 --token

        llm4top studio --token --behind https://trials.example.org
    """
    with quick_imports():
        from llm4top.studio.serve import check_address, serve
        from llm4top.workspace.workspace import Workspace

    check_address(serving.host, with_token=serving.token, behind=serving.behind)
    with Workspace.open() as workspace:
        serve(
            workspace,
            host=serving.host,
            port=serving.port,
            with_token=serving.token,
            behind=serving.behind,
            say=typer.echo,
            on_started=(lambda _: None) if serving.no_browser else _open_browser,
        )


def _open_browser(address: str) -> None:
    import threading
    import webbrowser

    # Some browsers keep their caller waiting until they are closed.
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

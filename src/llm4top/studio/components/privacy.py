"""The privacy statement with its proof, for the badge and the About page."""

from nicegui import ui

from llm4top.studio.components.elements import Words, heading, in_thread, muted
from llm4top.studio.context import StudioContext

_PROMISE = (
    "Everything stays on this machine. The Studio sends no records, forecasts or usage data "
    "anywhere, and its pages load nothing from the internet. The only command that uses the "
    "network is “llm4top download”, when you run it."
)
_HOW = (
    "Counted by the Python interpreter in this server process. The connections of its workers are "
    "from the operating system's list, read just now."
)


async def privacy_statement(context: StudioContext) -> None:
    """What stays here, who can reach the Studio, and the connections since it started."""
    heading("Privacy")
    Words("p", _PROMISE)
    Words("p", _reach(context))
    box = ui.element("div").classes("l4-box")
    # Listing the connections of all processes takes a moment.
    sentences = await in_thread(proof, context)
    with box:
        for sentence in sentences or ():
            Words("div", sentence).classes("l4-what")
        muted(_HOW, "div")


def _reach(context: StudioContext) -> str:
    if context.shared:
        reach = "other machines can reach it, and need its token."
        if context.behind:
            return f"This Studio is served by a proxy as {context.behind}: {reach}"
        return (
            f"This Studio listens on {context.host}: {reach} Traffic between them and this "
            "machine is not encrypted."
        )
    return f"It listens on {context.host}, which other machines cannot reach."


def proof(context: StudioContext) -> list[str]:
    """Sentences on the connections since the start, and on those that are open now."""
    watch = context.watch
    since = f"since {watch.started:%Y-%m-%d %H:%M} UTC"
    if watch.count == 0:
        sentences = [f"No connection to another machine was attempted {since}."]
    else:
        tries = "1 attempt" if watch.count == 1 else f"{watch.count} attempts"
        sentences = [f"{tries} to reach another machine {since}:"]
        sentences += [f"{a.when:%H:%M:%S} {a.what} {a.target}" for a in list(watch.attempts)[-5:]]
    live = watch.live(context.port)
    sentences.append(
        f"Connected now: {', '.join(live[:5])}." if live else "No such connection is open now."
    )
    return sentences

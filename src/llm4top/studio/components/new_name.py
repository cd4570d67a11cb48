"""A dialog that asks for another name."""

from collections.abc import Collection

from nicegui import ui

from llm4top.studio.components.elements import PRIMARY, Words, text_field

LONGEST = 60


async def new_name(title: str, name: str, taken: Collection[str]) -> str | None:
    """Ask for another name than ``name``, and than those ``taken``; None where it stays."""
    with ui.dialog() as dialog, ui.card():
        dialog.props["aria-label"] = title
        Words("h2", title)
        field = text_field("Name", name, longest=LONGEST).props("autofocus")

        def save() -> None:
            given = str(field.value or "").strip()
            if not given:
                field.error = "Give a name."
            elif given in taken:
                field.error = "This name is taken."
            else:
                dialog.submit(given)

        field.on("keydown.enter", save)
        with ui.row():
            ui.button("Rename", on_click=save).props(PRIMARY)
            ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
    given = await dialog
    dialog.delete()
    return None if given in (None, name) else str(given)

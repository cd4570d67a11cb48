"""The value of one study's JSON, within the limits."""

import json
import re
from typing import Any

from llm4top.errors import LimitError, MalformedRecordError
from llm4top.registry.json_cutter import AGAIN, Piece
from llm4top.registry.json_pages import distinct
from llm4top.registry.limits import Limits, beyond
from llm4top.registry.normalize_text import clean
from llm4top.text import thousands

_CONTROL = re.compile(rb"\\u(?:00[01]|007[fF]|[dD][89a-fA-F])")


def load(piece: Piece, name: str, limits: Limits) -> Any:
    """The value of one study's bytes."""
    data = piece.data
    # A value needs two bytes at least, so only a large study can hold too many.
    if len(data) > 2 * limits.values and data.count(b",") >= limits.values:
        raise LimitError(
            f"the record has more than {thousands(limits.values)} values.",
            file=name,
            line=piece.line,
            hint=beyond("values"),
        )
    try:
        value = json.loads(
            data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=distinct
        )
    except json.JSONDecodeError as error:
        raise _broken(error.msg, name, piece.line + error.lineno - 1) from None
    except UnicodeDecodeError:
        raise _broken("it is not in UTF-8", name, piece.line) from None
    except (ValueError, RecursionError) as error:
        why = "a number has too many digits" if "digits" in str(error) else str(error)
        raise _broken(why, name, piece.line) from None
    if len(data) > limits.text_length or _CONTROL.search(data):
        return _checked(value, name, limits, piece.line)
    return value


def _checked(value: Any, name: str, limits: Limits, line: int) -> Any:
    """``value`` with clean texts, none of them too long."""
    if isinstance(value, str):
        if len(value) > limits.text_length:
            raise LimitError(
                f"a text has {thousands(len(value))} characters, the limit is "
                f"{thousands(limits.text_length)}.",
                file=name,
                line=line,
                hint=beyond("text_length"),
            )
        return clean(value)
    if isinstance(value, list):
        return [_checked(item, name, limits, line) for item in value]
    if isinstance(value, dict):
        return {clean(key): _checked(item, name, limits, line) for key, item in value.items()}
    return value


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON value")


def _broken(message: str, name: str, line: int) -> MalformedRecordError:
    return MalformedRecordError(f"the JSON is broken: {message}.", file=name, line=line, hint=AGAIN)

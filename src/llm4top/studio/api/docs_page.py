"""The API's documentation as a page: its OpenAPI document put into HTML, with no script in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template

_METHODS = ("get", "post", "put", "patch", "delete")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API · {{ info.title }}</title>
<style>
:root { color-scheme: light dark; --ink: #1c2326; --paper: #fefefe; --quiet: #566265;
  --line: #d8dedf; --accent: #0b5f62; --box: #f3f6f6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaea; --paper: #14191a;
  --quiet: #a3afb1; --line: #333d3f; --accent: #6cc5c3; --box: #1d2425; } }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; margin: 0;
  color: var(--ink); background: var(--paper); }
main { max-width: 60rem; margin: 0 auto; padding: 24px; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 40px; }
h3 { font-size: 1rem; margin: 0; } h4 { font-size: .9rem; margin: 16px 0 4px; }
a { color: var(--accent); } :focus-visible { outline: 2px solid var(--accent); }
code, pre { font: .875rem/1.45 ui-monospace, monospace; }
pre { background: var(--box); padding: 12px; overflow-x: auto; border-radius: 6px; }
details { border-top: 1px solid var(--line); padding: 8px 0; }
summary { cursor: pointer; } summary h3 { display: inline; font-weight: 400; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; color: var(--accent); }
.quiet { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; } .wide { overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: 4px 12px 4px 0;
  border-bottom: 1px solid var(--line); } th { font-weight: 600; }
</style>
</head>
<body><main>
<p><a href="/">Back to the Studio</a></p>
<h1>{{ info.title }} {{ info.version }}: the API</h1>
{% for part in info.description.split("\n\n") %}<p>{{ part }}</p>
{% endfor %}
<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI {{ version }}).</p>
{% for tag, operations in groups %}
<h2>{{ tag }}</h2>
{% for op in operations %}
<details id="{{ op.id }}"><summary><h3><code class="method">{{ op.method }}</code>
<code>{{ op.path }}</code> <span class="quiet">{{ op.summary }}</span></h3></summary>
<p>{{ op.description }}</p>
<pre>{{ op.curl }}</pre>
{% if op.parameters %}<h4>Parameters</h4><div class="wide"><table>
<tr><th>Name</th><th>In</th><th>Type</th><th>Meaning</th></tr>
{% for p in op.parameters %}<tr><td><code>{{ p.name }}</code>{% if p.required %} (required)
{% endif %}</td><td>{{ p.place }}</td><td>{{ p.type }}</td><td>{{ p.description }}</td></tr>
{% endfor %}</table></div>{% endif %}
{% if op.body %}<h4>Body</h4>
{% if op.body.description %}<p>{{ op.body.description }}</p>{% endif %}
<ul>{% for kind, type in op.body.kinds %}<li><code>{{ kind }}</code>: {{ type }}</li>
{% endfor %}</ul>
{% if op.body.example %}<pre>{{ op.body.example }}</pre>{% endif %}{% endif %}
<h4>Answers</h4><div class="wide"><table>
<tr><th>Status</th><th>Meaning</th><th>Content</th></tr>
{% for a in op.answers %}<tr><td>{{ a.status }}</td><td>{{ a.description }}</td>
<td>{{ a.type }}</td></tr>
{% endfor %}</table></div></details>
{% endfor %}{% endfor %}
<h2>What is in an answer</h2>
{% for s in schemas %}
<details id="{{ s.name }}"><summary><h3>{{ s.name }} <span class="quiet">{{ s.description }}</span>
</h3></summary><div class="wide"><table><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>
{% for f in s.fields %}<tr><td><code>{{ f.name }}</code></td><td>{{ f.type }}</td>
<td>{{ f.description }}</td></tr>
{% endfor %}</table></div>
{% if s.example %}<h4>Example</h4><pre>{{ s.example }}</pre>{% endif %}</details>
{% endfor %}
</main></body></html>
"""


def render_docs(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document. All of the document's text is escaped."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for operation in _operations(document):
        groups.setdefault(operation["tag"], []).append(operation)
    return _template().render(
        info=document["info"],
        version=document["openapi"],
        groups=list(groups.items()),
        schemas=[
            _schema(name, schema) for name, schema in document["components"]["schemas"].items()
        ],
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_PAGE)


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield _operation(path, method, methods[method])


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody")
    return {
        "tag": (operation.get("tags") or ["Other"])[0],
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": _plain(operation.get("description", "")).partition(".")[0],
        "description": _plain(operation.get("description", "")),
        "curl": _curl(path, method, body),
        "parameters": [
            {
                "name": parameter["name"],
                "place": parameter["in"],
                "required": parameter.get("required", False),
                "type": type_of(parameter["schema"]),
                "description": parameter.get("description", ""),
            }
            for parameter in operation.get("parameters", ())
        ],
        "body": _body(body) if body else None,
        "answers": [_answer(*answer) for answer in operation["responses"].items()],
    }


def _curl(path: str, method: str, body: Mapping[str, Any] | None) -> str:
    command = "curl" if method == "get" else f"curl -X {method.upper()}"
    if body and "multipart/form-data" in body["content"]:
        command += " -F files=@record.xml"
    elif body:
        command += " --json @request.json"
    return f"{command} http://127.0.0.1:8642{path}"


def _body(body: Mapping[str, Any]) -> dict[str, Any]:
    contents = body["content"]
    example = next((c["example"] for c in contents.values() if "example" in c), None)
    return {
        "description": body.get("description", ""),
        "kinds": [(kind, type_of(content["schema"])) for kind, content in contents.items()],
        "example": json.dumps(example, indent=2) if example is not None else "",
    }


def _answer(status: str, answer: Mapping[str, Any]) -> dict[str, str]:
    contents = answer.get("content", {})
    return {
        "status": status,
        "description": answer["description"],
        "type": ", ".join(
            f"{kind}: {type_of(content.get('schema', {}))}" for kind, content in contents.items()
        ),
    }


def _schema(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    examples = schema.get("examples")
    return {
        "name": name,
        "description": _plain(schema.get("description", "")),
        "fields": [
            {"name": field, "type": type_of(told), "description": told.get("description", "")}
            for field, told in schema.get("properties", {}).items()
        ],
        "example": json.dumps(examples[0], indent=2, ensure_ascii=False) if examples else "",
    }


def _plain(text: str) -> str:
    """A docstring as one paragraph, without its marks for code."""
    return " ".join(text.replace("``", "").split())


def type_of(schema: Mapping[str, Any]) -> str:
    """A JSON schema's type in a few words: "integer or null", "list of RunOut"."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(type_of(option) for option in schema[key]))
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind

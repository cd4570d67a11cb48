"""The response headers that tell a browser what the Studio's pages may do.

What NiceGUI does not allow, and what is done about it:

- Its page holds inline scripts. Each gets a fresh nonce with every response, written into the
  framework's template before any data is filled in, so a script in the data has none and does
  not run. ``script-src`` has no ``unsafe-inline``.
- It builds event handlers and component templates with ``eval``, so ``unsafe-eval`` stays. A
  script that never runs cannot call it.
- It sets style attributes and style elements, so ``style-src`` has ``unsafe-inline``. Images and
  fonts come only from here, so a style cannot carry anything out.
- Its first response holds the page's content as JSON inside a script; ``<`` and ``&`` in it are
  escaped by the framework, which a test holds.
"""

import secrets
from typing import Any

from jinja2 import BaseLoader, Environment

NONCE_KEY = "llm4top.nonce"
"""Where a request's scope keeps the nonce of its response."""

_PERMISSIONS: tuple[str, ...] = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
)
_PERMISSIONS += ("hid", "magnetometer", "microphone", "midi", "payment", "serial", "usb")


def new_nonce() -> str:
    """A nonce for one response: 128 random bits."""
    return secrets.token_urlsafe(16)


def security_headers(nonce: str) -> dict[str, str]:
    """The headers of every response, by lower-case name."""
    policy = (
        "default-src 'none'",
        f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        "frame-src 'none'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "content-security-policy": "; ".join(policy),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "permissions-policy": ", ".join(f"{name}=()" for name in _PERMISSIONS),
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }


class _NonceLoader(BaseLoader):
    """Loads another loader's templates and gives each script element in them the nonce."""

    def __init__(self, inner: BaseLoader):
        self._inner = inner

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Any]:
        source, name, fresh = self._inner.get_source(environment, template)
        nonce = f"nonce=\"{{{{ request.scope.get('{NONCE_KEY}', '') }}}}\""
        return source.replace("<script", f"<script {nonce}"), name, fresh


def give_scripts_their_nonce() -> None:
    """Make NiceGUI's page template carry the nonce. A second call does nothing."""
    from nicegui import client

    environment = client.templates.env
    if environment.loader is not None and not isinstance(environment.loader, _NonceLoader):
        environment.loader = _NonceLoader(environment.loader)
        if environment.cache is not None:
            environment.cache.clear()

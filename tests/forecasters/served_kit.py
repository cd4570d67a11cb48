"""A completions server on loopback for tests, which answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]
"""A status and a body: values that are sent as JSON, or bytes."""


class FakeServer:
    """What was asked of a server in a test, and where it is.

    Attributes:
        url: Its base address.
        bodies, headers, paths: Of each request, in order.
        most: The largest number of requests that it had at a time.
        more: Headers of every answer.
    """

    def __init__(self, respond: Callable[[dict[str, Any]], Answer]):
        self.respond = respond
        self.url = ""
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.more: dict[str, str] = {}
        self.most = self._now = 0
        self._lock = threading.Lock()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        with self._lock:
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
            self.paths.append(request.path)
            self._now += 1
            self.most = max(self.most, self._now)
        status, values = self.respond(body)
        with self._lock:
            self._now -= 1
        data = values if isinstance(values, bytes) else json.dumps(values).encode()
        request.send_response(status)
        for name, value in self.more.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)


@contextmanager
def serving(respond: Callable[[dict[str, Any]], Answer]) -> Iterator[FakeServer]:
    """A server on a free port of loopback, until the block ends."""
    fake = FakeServer(respond)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with suppress(OSError):  # the client has hung up
                fake.handle(self)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        fake.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()


def completion(top: dict[str, float], tokens: int | None) -> Answer:
    """A completion in OpenAI's form that lists ``top`` after a prompt of so many tokens."""
    listed = {"tokens": ["x"], "token_logprobs": [-1.0], "top_logprobs": [top]}
    usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens}}
    return 200, {"choices": [{"text": "x", "logprobs": listed}], **usage}


def model_server(folder: Any, *, by_id: bool = True) -> Callable[[dict[str, Any]], Answer]:
    """Answers as vLLM would with the model in ``folder``, or as llama-cpp-python (text only)."""
    import torch

    from llm4top.forecasters.model.base_model import load_base

    base = load_base(folder, device="cpu", dtype="float32")
    lock = threading.Lock()

    def respond(body: dict[str, Any]) -> Answer:
        prompt = body["prompt"]
        if by_id != isinstance(prompt, list):
            return 500, {"error": {"message": "Input should be a valid string"}}
        ids = prompt if by_id else base.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        with lock, torch.no_grad():
            logits = base.model(input_ids=torch.tensor([ids])).logits[0, -1].double()
        values, tokens = torch.log_softmax(logits, 0).sort(descending=True)
        # llama.cpp lists what it is asked for, vLLM twenty at most.
        if by_id and body["logprobs"] > 20:
            return 400, {"error": {"message": "logprobs: at most 20"}}
        count = 20 if by_id else len(values)
        top = zip(tokens[:count].tolist(), values[:count].tolist(), strict=True)
        names = {n: f"token_id:{n}" if by_id else base.tokenizer.decode([n]) for n in range(600)}
        return completion({names[token]: value for token, value in top}, len(ids))

    return respond

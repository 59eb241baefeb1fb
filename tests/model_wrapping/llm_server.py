"""An OpenAI-compatible server on this machine, whose faults a test can choose."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LLMServer:
    """Answers chat completions; `faults` are used up first, one a request.

    A fault is a status code, (status, error code), (status, headers), `"slow"`, `"hang up"`, or `"empty"`.
    """

    def __init__(self, answer: Callable[[list[dict]], str] = lambda messages: "a label") -> None:
        self.answer = answer
        self.faults: list = []
        self.requests: list[dict] = []
        self.keys: list[str | None] = []
        self.times: list[float] = []
        self.most_at_once = 0
        self.delay = 0.0
        self._at_once = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server._serve(self, body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> "LLMServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler, body: dict) -> None:
        with self._lock:
            self.requests.append(body)
            self.keys.append(handler.headers.get("Authorization"))
            self.times.append(time.monotonic())
            fault = self.faults.pop(0) if self.faults else None
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(self.delay)
        try:
            self._reply(handler, body, fault)
        finally:
            with self._lock:
                self._at_once -= 1

    def _reply(self, handler: BaseHTTPRequestHandler, body: dict, fault: object) -> None:
        if fault == "hang up":
            handler.close_connection = True
            return
        if fault == "slow":
            time.sleep(0.5)
        if isinstance(fault, int):
            fault = (fault, {})
        if isinstance(fault, tuple):
            status, more = fault
            headers = more if isinstance(more, dict) else {}
            code = more if isinstance(more, str) else None
            self._send(handler, status, {"error": {"message": "a fault", "code": code}}, headers)
            return
        text = "" if fault == "empty" else self.answer(body["messages"])
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice]}
        self._send(handler, 200, reply, {})

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, body: dict, headers: dict) -> None:
        content = json.dumps(body).encode()
        try:
            handler.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": len(content), **headers}.items():
                handler.send_header(name, str(value))
            handler.end_headers()
            handler.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a caller that no longer waits

"""Real servers on this machine: files over http with ranges, also one that breaks off and one that is busy."""

import contextlib
import hashlib
import http.server
import re
import threading
from pathlib import Path


class FileServer(http.server.ThreadingHTTPServer):
    """Serves a folder.

    Attributes:
        ranges: Whether it knows ranges.
        breaks_after: Bytes after which the next answers break off, one entry per answer.
        busy: Answers that are 503 before the first good one.
        asked: (path, range or None) of each request.
    """

    daemon_threads = True

    def __init__(self, folder, ranges=True):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.ranges = Path(folder), ranges
        self.breaks_after, self.busy, self.asked = [], 0, []

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted))
        file = server.folder / self.path.split("?")[0].lstrip("/")
        if server.busy:
            server.busy -= 1
            return self.send_error(503)
        if not file.is_file():
            return self.send_error(404)
        data = file.read_bytes()
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range", tag) == tag:
            start = int(re.match(r"bytes=(\d+)-", wanted)[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[: server.breaks_after.pop(0)] if server.breaks_after else body)


@contextlib.contextmanager
def file_server(folder, ranges=True):
    """A `FileServer` of a folder, while the block runs."""
    with FileServer(folder, ranges) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()

"""Real servers on this machine: files over http with ranges, also one that breaks off and one that is busy."""

import contextlib
import hashlib
import http.server
import logging
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
        start, stop = 0, len(data)
        if wanted and server.ranges and self.headers.get("If-Range", tag) == tag:
            first, last = re.match(r"bytes=(\d+)-(\d*)", wanted).groups()
            start, stop = int(first), min(int(last) + 1, stop) if last else stop
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        body = data[start:stop]
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[: server.breaks_after.pop(0)] if server.breaks_after else body)


@contextlib.contextmanager
def file_server(folder, ranges=True):
    """A `FileServer` of a folder, while the block runs."""
    with FileServer(folder, ranges) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextlib.contextmanager
def s3_server(monkeypatch, bucket="bucket"):
    """An S3 server with a bucket, while the block runs; gives (moto's server, s3fs's file system)."""
    import fsspec
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "user", "DEFAULT_REGION": "us-east-1",
                        "SECRET_ACCESS_KEY": "hush-hush"}.items():  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    # One that a thread of an earlier test has left has the address of its server.
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    system = fsspec.filesystem("s3", use_listings_cache=False)
    system.mkdir(bucket)
    try:
        yield server, system
    finally:
        server.stop()
        type(system).clear_instance_cache()


@contextlib.contextmanager
def gs_server(monkeypatch, bucket="bucket"):
    """A server of Google Cloud Storage with a bucket, while the block runs; gives (the server, gcsfs's file system)."""
    import fsspec
    from gcp_storage_emulator.server import create_server

    logging.getLogger("gcp_storage_emulator").setLevel(logging.ERROR)
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=bucket)
    server.start()
    try:
        port = server._api._httpd.server_address[1]
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        # It asks for the kind of a bucket over another protocol, which no server but Google's speaks.
        monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        for name in ("gs", "gcs"):
            monkeypatch.setitem(fsspec.config.conf, name, {"token": "anon"})
        yield server, fsspec.filesystem("gs", use_listings_cache=False)
    finally:
        server.stop()
        fsspec.get_filesystem_class("gs").clear_instance_cache()

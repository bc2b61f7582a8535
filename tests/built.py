"""The built pages for the tests that read them: which they are, what they load, a host for them."""

import contextlib
import gzip
import http.server
import threading
from html.parser import HTMLParser

import pytest
from conftest import ROOT

HTML = ROOT / "_build" / "html"
NOT_TEXT = {"genindex.html", "search.html", "index.html", "404.html"}  # made by the build
PAGES = sorted(
    p for p in HTML.rglob("*.html") if p.name not in NOT_TEXT and "_static" not in p.parts
)

every_page = pytest.mark.parametrize(
    "path", PAGES, ids=lambda p: str(p.relative_to(HTML).with_suffix(""))
)


class Page(HTMLParser):
    """Ids, links and what a page would load."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.ids.update(filter(None, (a.get("id"), a.get("name") if tag == "a" else None)))
        if tag == "a" and a.get("href"):
            self.links.append(a["href"])
        elif (
            tag == "link"
            and a.get("rel") not in ("canonical", "search", "next", "prev", "index", "author")
            and a.get("href")
        ):
            self.loads.append(a["href"])
        elif tag in ("script", "img", "iframe", "source", "video", "audio", "object") and a.get(
            "src"
        ):
            self.loads.append(a["src"])


@contextlib.contextmanager
def host():
    """The built book as a web host sends it, compressed: its address."""

    class Host(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            path = HTML / self.path.split("?")[0].lstrip("/")
            if not path.is_file():
                return self.send_error(404)
            content = path.read_bytes()
            packed = content if path.suffix in (".woff2", ".png") else gzip.compress(content)
            self.send_response(200)
            self.send_header("Content-Type", self.guess_type(str(path)))
            self.send_header("Content-Length", str(len(packed)))
            if packed is not content:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the reader has left
                self.wfile.write(packed)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()

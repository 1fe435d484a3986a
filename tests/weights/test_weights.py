"""The store of pretrained files: downloads that break, servers that differ, machines that are offline or read-only."""

import hashlib
import json
import threading
import time
import typing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import plugins, weights
from bench.commands.weights import command, opens
from bench.errors import MissingWeights, UsageError
from bench.weights import download, files
from bench.weights.add import add
from bench.weights.fetch import fetch
from bench.weights.manifest import MANIFEST

CONTENT = bytes(range(256)) * 800
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT at every address of a net.pth; remembers the ranges that were asked for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.ranges_work, self.break_after = [], True, None

    def url(self, file="net.pth"):
        return f"http://127.0.0.1:{self.server_port}/{file}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server, start = self.server, 0
        server.asked.append(self.headers.get("Range"))
        if not self.path.endswith("/net.pth"):
            return self.send_error(404)
        if server.ranges_work and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(CONTENT):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:][: server.break_after])


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """declare(name=, url=, sha256=, ...): one file more in the manifest, and an empty store."""
    rows = []
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("BENCH_MANIFEST", str(tmp_path / "manifest.json"))

    def add(name="net", url="", sha256=DIGEST, size=None):
        rows.append({"name": name, "file": f"{name}.pth", "purpose": "a network", "url": url, "sha256": sha256,
                     "bytes": size, "licence": "none", "opens": ["x"]})  # fmt: skip
        (tmp_path / "manifest.json").write_text(json.dumps(rows))

    return add


def part(tmp_path, content):
    (tmp_path / "store").mkdir(exist_ok=True)
    (tmp_path / "store" / "net.pth.part").write_bytes(content)


def test_a_file_is_fetched_checked_and_found(server, declare):
    declare(url=server.url(), size=len(CONTENT))
    with pytest.raises(MissingWeights, match="bench weights fetch net"):
        weights.path("net")
    assert "matches all digits" in fetch("net")
    assert weights.path("net").read_bytes() == CONTENT
    assert weights.file_hash("net") == DIGEST[:16]
    assert "already here" in fetch("net") and len(server.asked) == 1


def test_a_download_goes_on_where_it_stopped(server, declare, tmp_path):
    declare(url=server.url())
    part(tmp_path, CONTENT[:1000])
    fetch("net")
    assert server.asked == ["bytes=1000-"] and weights.path("net").read_bytes() == CONTENT
    assert not list((tmp_path / "store").glob("*.part"))


def test_a_server_that_ignores_ranges_sends_the_file_from_its_start(server, declare, tmp_path):
    declare(url=server.url())
    server.ranges_work = False
    part(tmp_path, CONTENT[:1000])
    fetch("net")
    assert weights.path("net").read_bytes() == CONTENT


@pytest.mark.parametrize(("kept", "refused"), [(CONTENT, False), (CONTENT + b"more", True)])
def test_a_part_with_nothing_after_it_is_whole_or_refused(server, declare, tmp_path, kept, refused):
    declare(url=server.url())
    part(tmp_path, kept)
    if refused:
        with pytest.raises(UsageError, match="refused"):
            fetch("net")
    fetch("net")
    assert weights.path("net").read_bytes() == CONTENT


def test_a_connection_that_breaks_is_taken_up_again(server, declare, tmp_path):
    declare(url=server.url())
    server.break_after = len(CONTENT) // 3 + 1
    fetch("net")
    assert len(server.asked) == 3 and weights.path("net").read_bytes() == CONTENT


def test_what_came_of_a_download_that_keeps_breaking_is_kept(server, declare, tmp_path):
    declare(url=server.url())
    server.break_after = 1000
    with pytest.raises(UsageError, match="goes on from there"):
        fetch("net")
    assert (tmp_path / "store" / "net.pth.part").stat().st_size == 3000
    server.break_after = None
    fetch("net")
    assert server.asked[-1] == "bytes=3000-" and weights.path("net").read_bytes() == CONTENT


def test_a_wrong_checksum_or_size_is_refused_and_not_kept(server, declare, tmp_path):
    declare(url=server.url(), sha256="0" * 8)
    declare("other", url=server.url(), size=3)
    for name in ("net", "other"):
        with pytest.raises(UsageError, match="refused"):
            fetch(name)
    assert not [f for f in (tmp_path / "store").iterdir() if f.suffix != ".json"]


def test_a_file_that_changed_in_the_store_is_refused_when_used(server, declare):
    declare(url=server.url())
    fetch("net")
    weights.path("net").write_bytes(b"something else")
    with pytest.raises(UsageError, match="refused"):
        weights.path("net")
    assert command("verify", []) == 1


def test_the_first_download_of_a_file_without_a_published_hash_is_recorded(server, declare):
    declare(url=server.url(), sha256="")
    assert "recorded now" in fetch("net")
    assert "as recorded" in fetch("net")
    (weights.store() / "net.pth").write_bytes(b"something else")
    with pytest.raises(UsageError, match=r"recorded in .*refused"):
        weights.path("net")


def test_an_absent_file_is_named_and_the_others_are_fetched(server, declare, capsys):
    declare("absent", url=server.url("absent.pth"))
    declare(url=server.url())
    assert command("fetch", ["absent", "net"]) == 1
    out, err = capsys.readouterr()
    assert "HTTP 404" in err and "net: " in out and weights.path("net")


def test_an_offline_machine_costs_one_try(declare, capsys, tmp_path):
    for name in ("net", "second", "third"):
        declare(name, url="http://127.0.0.1:9/net.pth")
    begin = time.monotonic()
    assert command("fetch", ["net", "second", "third"]) == 1
    assert time.monotonic() - begin < download.TIMEOUT
    err = capsys.readouterr().err
    assert err.count("cannot be reached") == 1 and "bench weights add net.pth" in err
    assert not list((tmp_path / "store").iterdir())


def test_a_host_that_hangs_is_left_alone(declare, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    monkeypatch.setattr(download.urllib.request, "urlopen", lambda *_, **__: time.sleep(5))
    declare(url="http://example.invalid/net.pth")
    begin = time.monotonic()
    with pytest.raises(UsageError, match="no answer"):
        fetch("net")
    assert time.monotonic() - begin < 2


def test_files_come_from_a_folder_and_from_a_mirror(server, declare, tmp_path):
    declare(), declare("absent")
    (tmp_path / "given" / "deep").mkdir(parents=True)
    (tmp_path / "given" / "deep" / "net.pth").write_bytes(CONTENT)
    assert "matches all" in add([str(tmp_path / "given")])[0]
    assert add([str(weights.path("net"))])  # the store itself
    weights.path("net").unlink()
    assert len(add([server.url("mirror/")])) > 0 and weights.path("net").read_bytes() == CONTENT
    weights.path("net").unlink()
    assert add([server.url("some/net.pth")])
    for wrong in ("nowhere", str(tmp_path / "manifest.json")):
        with pytest.raises(UsageError):
            add([wrong])


def test_a_store_that_cannot_be_written_still_serves(server, declare, monkeypatch):
    declare(url=server.url(), sha256="")
    store = weights.store()
    store.mkdir()
    (store / "net.pth").write_bytes(CONTENT)

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "write_json", refuse)
    assert weights.path("net").read_bytes() == CONTENT and "cannot be written" in fetch("net")
    assert command("verify", []) == 0
    monkeypatch.setenv("BENCH_WEIGHTS", "/proc/nowhere")
    with pytest.raises(UsageError, match="set BENCH_WEIGHTS"):
        fetch("net")
    assert not server.asked


def test_the_manifest_is_listed_with_what_is_here(bench, declare, server):
    declare(url=server.url())
    assert bench("weights", "fetch", "net")[0] == 0
    code, out, _ = bench("weights", "list")
    assert code == 0 and "1 of" in out and "* net " in out
    rows = {row["name"]: row for row in json.loads(bench("weights", "list", "--json")[1])}
    assert rows["net"]["present"] and rows["net"]["bytes"] == len(CONTENT) and rows["net"]["opens"] == ["x"]
    assert bench("weights", "fetch", "nett") == (2, "", "bench: no weights 'nett'; did you mean 'net'?\n")


def test_every_file_is_named_once_and_says_where_its_hash_is_from():
    assert len({w.name for w in MANIFEST}) == len({w.file for w in MANIFEST}) == len(MANIFEST)
    for w in MANIFEST:
        assert (
            len(w.sha256) in (0, 8, 64) and w.url.startswith("https://") and w.licence and (w.opens or opens()[w.name])
        )
        assert len(w.sha256) != 8 or w.sha256 in w.file


def test_every_metrics_weights_are_listed_with_the_metric():
    known = opens()
    for name in plugins.names("metrics"):
        cls = plugins.load("metrics", name)
        fields = typing.get_type_hints(cls.Params).items()
        for options in [{}, *({key: choice} for key, hint in fields for choice in typing.get_args(hint))]:
            for file in cls(cls.Params(**options)).required_weights():
                assert any(opened.partition("[")[0] == name for opened in known[file]), (name, file)

"""The store of pretrained files: downloads that break, servers that differ, machines that are offline or read-only."""

import hashlib
import json
import os
import re
import threading
import time
import typing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from bench import plugins, weights
from bench.commands.weights import command, opens
from bench.errors import MissingWeights, UsageError
from bench.weights import download
from bench.weights.add import add
from bench.weights.fetch import fetch
from bench.weights.manifest import MANIFEST, Weights

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


@pytest.mark.parametrize("kept", [CONTENT, CONTENT + b"more", b"other"])
def test_a_part_of_another_file_is_left_for_the_whole_file(server, declare, tmp_path, kept):
    declare(url=server.url())
    part(tmp_path, kept)
    fetch("net")
    assert weights.path("net").read_bytes() == CONTENT and server.asked[-1] is None
    assert not list((tmp_path / "store").glob("*.part*"))


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
    monkeypatch.setattr(download, "_ask", lambda *_: time.sleep(5))
    declare(url="http://example.invalid/net.pth")
    begin = time.monotonic()
    with pytest.raises(UsageError, match="no answer"):
        fetch("net")
    assert time.monotonic() - begin < 2


def test_files_come_from_a_folder_and_from_a_mirror(server, declare, tmp_path):
    declare(), declare("absent", sha256="")
    (tmp_path / "given" / "deep").mkdir(parents=True)
    (tmp_path / "given" / "deep" / "net.pth").write_bytes(CONTENT)
    assert "matches all" in add([str(tmp_path / "given")])[0]
    assert add([str(weights.path("net"))])  # the store itself
    weights.path("net").unlink()
    assert len(add([server.url("mirror/")])) > 0 and weights.path("net").read_bytes() == CONTENT
    weights.path("net").unlink()
    assert add([server.url("some/net.pth")])
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "absent.pth").write_text("<html>please log in</html>")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "absent.pth").touch()
    for wrong in (
        "nowhere",
        str(tmp_path / "manifest.json"),
        str(tmp_path / "page"),
        str(tmp_path / "empty"),
        "file:///a",
    ):
        with pytest.raises(UsageError):
            add([wrong])


def test_reading_writes_nothing_so_that_a_read_only_folder_serves(bench, server, declare, monkeypatch):
    declare(url=server.url()), declare("old", url=server.url(), sha256=""), declare("lacking", url=server.url())
    fetch("net")
    store = weights.store()
    (store / "old.pth").write_bytes(CONTENT)  # as a site's manager copied it there

    def state():
        return sorted((f.name, f.stat().st_mtime_ns) for f in [store, *store.iterdir()])

    before = state()
    assert weights.path("net").read_bytes() == weights.path("old").read_bytes() == CONTENT
    assert weights.file_hash("old") == DIGEST[:16]
    assert bench("weights", "list")[0] == 0 and bench("weights", "verify", "net")[0] == 0
    assert bench("weights", "fetch", "net", "old")[0] == 0
    assert state() == before and len(server.asked) == 1

    monkeypatch.setattr(
        "bench.weights.fetch.part_of", lambda path: store / "absent" / "probe"
    )  # as root may write anywhere
    assert bench("weights", "fetch", "net", "old")[0] == 0
    code, out, err = bench("weights", "fetch", "net", "lacking")
    assert (code, out, err.count("\n")) == (2, "", 1) and "cannot be written" in err and "BENCH_WEIGHTS" in err
    monkeypatch.setenv("BENCH_WEIGHTS", "/proc/nowhere")
    assert bench("weights", "fetch", "net")[0] == 2 and len(server.asked) == 1


def test_verify_agrees_with_nothing_that_it_wrote_itself(bench, server, declare):
    declare(url=server.url(), sha256="")
    weights.store().mkdir()
    (weights.store() / "net.pth").write_bytes(b"anything")
    for _ in range(2):
        assert weights.path("net") and fetch("net")
        code, out, err = bench("weights", "verify")
        assert (code, out) == (1, "") and "nothing to verify it against" in err and "bench weights add" in err
    assert add([str(weights.path("net"))])  # a person says that it is right
    assert bench("weights", "verify")[0] == 0
    (weights.store() / "net.pth").write_bytes(b"something")
    assert bench("weights", "verify")[0] == 1


def test_a_file_of_hugging_faces_cache_is_verified_by_what_it_is_called(declare):
    folder = weights.store() / "hub" / "models--some--one"
    config = b"{}"
    for name, content, blob in (
        ("net.safetensors", CONTENT, DIGEST),
        ("config.json", config, hashlib.sha1(b"blob 2\0" + config).hexdigest()),  # as git calls it
    ):
        for place in ("blobs", "snapshots"):
            (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / "blobs" / blob).write_bytes(content)
        (folder / "snapshots" / name).symlink_to(folder / "blobs" / blob)
        wanted = Weights(name, f"hub/{name}", "a file", "", "", None, "none")
        assert "as the cache calls it" in weights.check(wanted, folder / "snapshots" / name)
        (folder / "blobs" / blob).write_bytes(content + b" ")
        with pytest.raises(UsageError, match="by which the cache calls it; refused"):
            weights.check(wanted, folder / "snapshots" / name)


def test_a_damaged_record_is_named_and_not_begun_anew(bench, server, declare):
    declare(url=server.url(), sha256="")
    fetch("net")
    (weights.store() / "recorded.json").write_text('{"net.pth": "')
    code, _, err = bench("weights", "verify")
    assert code == 1 and "recorded.json: no record" in err and err.count("\n") == 1
    with pytest.raises(UsageError, match=r"recorded\.json"):
        weights.path("net")


def test_a_damaged_file_is_fetched_again(server, declare, capsys):
    declare(url=server.url(), sha256="")
    fetch("net")
    weights.path("net").write_bytes(b"damaged")
    assert "as recorded" in fetch("net") and weights.path("net").read_bytes() == CONTENT
    assert "refused; fetched again" in capsys.readouterr().err


def test_refusals_name_what_a_file_asks_for_and_no_way_round_it(declare, tmp_path):
    class Call:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    declare(sha256=""), declare("text", sha256="")
    weights.store().mkdir()
    torch.save({"net": Call()}, weights.store() / "net.pth")
    (weights.store() / "text.pth").write_bytes(b"no weights at all")
    for name, reason in (("net", "mkdir; refused"), ("text", "not a checkpoint of PyTorch")):
        with pytest.raises(UsageError, match=reason) as refusal:
            weights.load(name)
        assert "\n" not in str(refusal.value) and not re.search("weights_only|pickle|trust", str(refusal.value))
    assert not (tmp_path / "ran").exists()


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
        if name == "ntire-face":
            continue  # asks for what pyiqa's metrics ask for as well, which is known where it is here
        cls = plugins.load("metrics", name)
        fields = typing.get_type_hints(cls.Params).items()
        for options in [{}, *({key: choice} for key, hint in fields for choice in typing.get_args(hint))]:
            for file in cls(cls.Params(**options)).required_weights():
                assert any(opened.partition("[")[0] == name for opened in known[file]), (name, file)

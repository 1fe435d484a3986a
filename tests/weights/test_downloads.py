"""Downloads from hosts that break off, change, lie, redirect, refuse, and from two processes at once."""

import datetime
import hashlib
import ipaddress
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import weights
from bench.commands.weights import command
from bench.errors import StoreError, UsageError
from bench.weights import download
from bench.weights.fetch import fetch

NEW, OLD = (bytes([start, *range(1, 256)]) * 400 for start in (7, 8))


class Host(ThreadingHTTPServer):
    """Serves ``content`` as a well-behaved host does; each of ``tricks``, dicts, changes one answer in turn.

    cut: bytes of the body that are sent; length: what is announced; headers; status; body; hold: an event to wait for.
    """

    daemon_threads = True

    def __init__(self, content=NEW, etag='"new"'):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.etag, self.tricks, self.asked, self.scheme = content, etag, [], [], "http"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.server_port}/net.pth"

    def handle_error(self, *_):
        pass  # a client that stopped


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        host, start = self.server, 0
        host.asked.append(dict(self.headers))
        trick = host.tricks.pop(0) if host.tricks else {}
        headers = {"ETag": host.etag} if host.etag else {}
        body, status = trick.get("body", host.content), trick.get("status", 200)
        if status == 200 and "Range" in self.headers and self.headers.get("If-Range", host.etag) == host.etag:
            start, status = int(self.headers["Range"][6:-1]), 206
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        headers["Content-Length"] = str(trick.get("length", len(body) - start))
        headers |= trick.get("headers", {})
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[start:][: trick.get("cut")])
        if "hold" in trick:
            self.wfile.flush()
            trick["hold"].wait(20)


@pytest.fixture
def host():
    host = Host()
    yield host
    host.shutdown()
    host.server_close()


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """declare(host, ...): what `bench weights fetch net` gets."""
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("BENCH_MANIFEST", str(tmp_path / "manifest.json"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def declare(url, sha256="", size=None):
        row = {"name": "net", "file": "net.pth", "purpose": "a network", "url": url, "sha256": sha256, "bytes": size,
               "licence": "none"}  # fmt: skip
        (tmp_path / "manifest.json").write_text(json.dumps([row]))

    return declare


@pytest.fixture
def broken(host, declare):
    """1,000 bytes of OLD are here; the host has NEW now."""
    declare(host.url)
    host.content, host.etag, host.tricks = OLD, '"old"', [{"cut": 1000}] + [{"cut": 0}] * 2
    with pytest.raises(UsageError, match=f"1000 of {len(OLD)} bytes.*goes on from there"):
        fetch("net")
    assert (weights.store() / "net.pth.part").read_bytes() == OLD[:1000]
    host.content, host.etag, host.asked = NEW, '"new"', []
    return host


def left():
    """What is in the store beside whole files."""
    return sorted(f.name for f in weights.store().iterdir())


def refused(reason):
    with pytest.raises(UsageError, match=reason) as error:
        fetch("net")
    assert "\n" not in str(error.value)
    assert left() == [], "neither kept nor recorded"


# ---------------------------------------------------------------- going on


def test_the_rest_is_asked_for_as_of_the_same_file(broken):
    broken.content, broken.etag = OLD, '"old"'
    fetch("net")
    assert [(a["Range"], a["If-Range"]) for a in broken.asked] == [("bytes=1000-", '"old"')]
    assert weights.path("net").read_bytes() == OLD and left() == ["net.pth", "recorded.json"]


@pytest.mark.parametrize(
    "trick",
    [
        {},  # a host that heeds If-Range, and sends the whole new file
        {"status": 206, "headers": {"Content-Range": f"bytes 1000-{len(NEW) - 1}/{len(NEW)}"}, "body": NEW[1000:]},
        {"status": 206, "headers": {"Content-Range": f"bytes 1000-{len(NEW)}/{len(NEW) + 1}", "ETag": None}},
        {"status": 206, "headers": {"Content-Range": f"bytes 0-{len(NEW) - 1}/{len(NEW)}", "ETag": '"old"'}},
        {"status": 206, "headers": {"ETag": '"old"'}},
        {"status": 416},
    ],
    ids=["heeds", "other ETag", "other length", "other place", "no place", "416"],
)
def test_what_is_here_of_a_file_that_has_changed_is_left(broken, trick):
    broken.tricks = [trick]
    fetch("net")
    assert weights.path("net").read_bytes() == NEW and left() == ["net.pth", "recorded.json"]
    assert json.loads((weights.store() / "recorded.json").read_text()) == {"net.pth": hashlib.sha256(NEW).hexdigest()}


def test_a_file_that_changes_while_it_comes_is_not_sewn_together(host, declare):
    declare(host.url)
    host.tricks = [{"cut": 1000, "body": OLD, "headers": {"ETag": '"old"'}}]
    fetch("net")
    assert weights.path("net").read_bytes() == NEW and host.asked[1]["If-Range"] == '"old"'


def test_the_time_of_change_serves_where_there_is_no_strong_etag(host, declare):
    host.etag, said = None, {"Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT", "ETag": 'W/"weak"'}
    declare(host.url)
    host.tricks = [{"cut": 1000, "headers": said}, {"status": 200, "headers": said}]
    fetch("net")
    assert host.asked[1]["If-Range"] == said["Last-Modified"] and weights.path("net").read_bytes() == NEW


def test_without_validators_only_a_published_hash_lets_a_download_go_on(host, declare):
    host.etag = None
    for digest, second in (("", None), (hashlib.sha256(NEW).hexdigest(), "bytes=1000-")):
        declare(host.url, sha256=digest)
        host.tricks, host.asked = [{"cut": 1000}], []
        fetch("net")
        assert [a.get("Range") for a in host.asked] == [None, second] and weights.path("net").read_bytes() == NEW
        weights.path("net").unlink()


def test_a_part_that_does_not_fit_the_published_hash_is_left_for_the_whole(host, declare):
    host.etag = None
    declare(host.url, sha256=hashlib.sha256(NEW).hexdigest())
    weights.store().mkdir()
    (weights.store() / "net.pth.part").write_bytes(OLD[:1000])
    assert "matches all" in fetch("net") and weights.path("net").read_bytes() == NEW


def test_what_a_killed_process_had_whole_is_not_asked_for_again(host, declare):
    declare(host.url)
    host.tricks = [{"cut": 1000}] + [{"cut": 0}] * 2
    with pytest.raises(UsageError):
        fetch("net")
    (weights.store() / "net.pth.part").write_bytes(NEW)
    host.asked.clear()
    fetch("net")
    assert weights.path("net").read_bytes() == NEW and not host.asked


# ---------------------------------------------------------------- bodies that are no files

PAGE = b"\n<!DOCTYPE html><title>Sign in</title>" + b" " * 5000


@pytest.mark.parametrize(
    ("trick", "reason"),
    [
        ({"body": PAGE, "headers": {"Content-Type": "text/html; charset=utf-8"}}, "a web page"),
        ({"body": PAGE, "headers": {"Content-Type": "application/octet-stream"}}, "a web page"),
        ({"body": b"\xef\xbb\xbf<?xml version='1.0'?><Error/>"}, "a web page"),
        ({"body": b'{"error": "quota"}'}, "a message of a server"),
        ({"body": b"version https://git-lfs.github.com/spec/v1\noid sha256:0"}, "a pointer of Git LFS"),
        ({"body": b""}, "an empty file"),
        ({"body": b"", "headers": {"Content-Length": None}}, "does not say how long"),
        ({"length": 1000}, "more than the 1000 bytes announced"),
        ({"headers": {"Content-Length": None}}, "does not say how long"),
        ({"headers": {"Content-Encoding": "gzip"}}, "sent compressed"),
        ({"status": 203}, "HTTP 203"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_file_is_neither_kept_nor_recorded(host, declare, trick, reason):
    declare(host.url)
    host.tricks = [trick]
    refused(reason)


def test_a_body_that_is_shorter_than_announced_is_kept_as_a_part_alone(host, declare):
    declare(host.url)
    host.tricks = [{"length": len(NEW) + 1}] * 3
    with pytest.raises(UsageError, match=f"{len(NEW)} of {len(NEW) + 1} bytes are here"):
        fetch("net")
    assert "net.pth" not in left() and "recorded.json" not in left()


@pytest.mark.parametrize("headers", [{}, {"Content-Length": None}])
def test_another_size_than_the_published_is_refused(host, declare, headers):
    declare(host.url, sha256="00000000", size=1000)
    host.tricks = [{"headers": headers}]
    refused("not the 1000 expected|more than the 1000")


# ---------------------------------------------------------------- two at once


def test_two_processes_download_a_file_once(host, declare, tmp_path):
    declare(host.url)
    gate = threading.Event()
    host.tricks = [{"cut": 1000, "hold": gate}]
    line = [sys.executable, "-m", "bench", "weights", "fetch", "net"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    both = [subprocess.Popen(line, **pipes) for _ in range(2)]
    waiting = threading.Timer(15, gate.set)  # whatever happens
    waiting.start()
    for process in both:  # the one that waits says so
        threading.Thread(target=lambda p=process: p.stderr.readline().startswith("waiting") and gate.set()).start()
    assert [process.wait(30) for process in both] == [0, 0]
    waiting.cancel()
    assert sum("already here" in process.stdout.read() for process in both) == 1
    assert [a.get("Range") for a in host.asked] == [None, "bytes=1000-"]
    assert weights.path("net").read_bytes() == NEW and left() == ["net.pth", "recorded.json"]


# ---------------------------------------------------------------- redirects


@pytest.fixture
def secure(host, tmp_path, monkeypatch):
    """Another host, by https, with a certificate of its own making that this machine trusts."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    signed = made.add_extension(names, True).sign(key, hashes.SHA256())
    pem = signed.public_bytes(serialization.Encoding.PEM)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "both.pem").write_bytes(key.private_bytes(*form) + pem)
    (tmp_path / "trusted.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    other = Host()
    other.socket, other.scheme = context.wrap_socket(other.socket, server_side=True), "https"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    yield other
    other.shutdown()
    other.server_close()


def test_redirects_go_to_https_and_never_from_it_to_http(host, secure, declare):
    declare(host.url)
    host.tricks = [{"status": 302, "headers": {"Location": secure.url}}]
    fetch("net")
    assert weights.path("net").read_bytes() == NEW and len(secure.asked) == 1
    weights.path("net").unlink()
    (weights.store() / "recorded.json").unlink()
    declare(secure.url)
    for code in (301, 302, 307):
        secure.tricks = [{"status": code, "headers": {"Location": host.url}}]
        host.asked.clear()
        refused("not https; refused")
        assert not host.asked


@pytest.mark.parametrize("place", ["http://example.com/net.pth", "ftp://127.0.0.1/net.pth", "file:///etc/hostname"])
def test_a_plain_address_sends_to_no_other_plain_host(host, declare, place):
    declare(host.url)
    host.tricks = [{"status": 302, "headers": {"Location": place}}]
    refused("refused|HTTP 302")


def test_a_host_without_a_trusted_certificate_is_left(secure, declare, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    declare(secure.url)
    refused("cannot be reached.*CERTIFICATE_VERIFY_FAILED")
    assert not secure.asked


# ---------------------------------------------------------------- one line each


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (401, {}, "HTTP 401"), (403, {}, "HTTP 403 Forbidden"), (404, {}, "HTTP 404"), (500, {}, "HTTP 500.*try again later"),
        (429, {"Retry-After": "30"}, "HTTP 429.*try again in 30 s"), (302, {"Location": "/net.pth"}, "HTTP 302"),
    ],
)  # fmt: skip
def test_what_a_host_refuses_is_said_in_a_line_and_the_part_stays(broken, capsys, status, headers, reason):
    broken.tricks = [{"status": status, "headers": headers}] * 12
    assert command("fetch", ["net"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and re.search(reason, err), err
    assert (weights.store() / "net.pth.part").read_bytes() == OLD[:1000]


def test_a_proxy_that_is_not_there_is_named_without_its_password(host, declare, monkeypatch):
    declare("http://example.com/net.pth")
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    with pytest.raises(UsageError, match=r"cannot be reached by the proxy 127\.0\.0\.1:9") as error:
        fetch("net")
    assert "secret" not in str(error.value)


def test_a_host_that_falls_silent_costs_its_time_and_the_part_stays(host, declare, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    declare(host.url)
    gate = threading.Event()
    host.tricks = [{"cut": 1000 + 1000 * n, "hold": gate} for n in range(3)]
    with pytest.raises(UsageError, match="broke off"):
        fetch("net")
    gate.set()
    fetch("net")
    assert weights.path("net").read_bytes() == NEW


def test_a_host_that_leaves_the_connection_open_is_no_fault(host, declare, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    declare(host.url)
    gate, host.etag = threading.Event(), None
    host.tricks = [{"hold": gate}]
    fetch("net")
    gate.set()
    assert len(host.asked) == 1


def test_a_full_disk_is_said_in_a_line(host, declare):
    declare(host.url)
    weights.store().mkdir()
    (weights.store() / "net.pth.part").symlink_to("/dev/full")
    with pytest.raises(StoreError, match=r"No space left.*BENCH_WEIGHTS") as error:
        fetch("net")
    assert "\n" not in str(error.value) and "net.pth" not in left()


def test_a_download_that_is_stopped_goes_on(host, declare, tmp_path):
    declare(host.url)
    gate = threading.Event()
    host.tricks = [{"cut": 1000, "hold": gate}]
    line = [sys.executable, "-m", "bench", "weights", "fetch", "net"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    part, end = weights.store() / "net.pth.part", time.monotonic() + 120
    while not (part.exists() and part.stat().st_size) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    gate.set()
    assert (process.returncode, out, err.count("\n")) == (130, "", 1)
    assert "stopped with 1000 bytes here; the same command goes on" in err
    assert left() == ["net.pth.part", "net.pth.part.json"]
    fetch("net")
    assert host.asked[-1]["Range"] == "bytes=1000-" and weights.path("net").read_bytes() == NEW

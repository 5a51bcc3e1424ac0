#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""site - a real static site (the SQLite documentation, some 750 pages) from nginx through brim.

Usage: tests/fault/site.py BRIM

First pass: every page is right to the byte. Second pass: the same, all hits, and nginx was not
asked once more. Then kill -9 and a restart: the same again, from disk. Where chromium is installed,
it also fetches a page over TLS and HTTP/2.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

DOCS = Path("/usr/share/doc/sqlite3")
PAGES_MIN = 200
SKIPPED = 77

NGINX_CONF = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/nginx-error.log;
events {{ worker_connections 512; }}
http {{
    include /etc/nginx/mime.types;
    access_log {dir}/nginx-access.log combined;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    keepalive_requests 100000;
    server {{ listen 127.0.0.1:{port}; root {docs}; }}
}}
"""


class Fault(Exception):
    pass


def start_nginx(directory, port):
    conf = directory / "nginx.conf"
    conf.write_text(NGINX_CONF.format(dir=directory, port=port, docs=DOCS))
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    log = open(directory / "nginx.out", "wb")
    return subprocess.Popen([nginx, "-c", str(conf), "-p", str(directory)], stdout=log, stderr=log)


def origin_requests(directory):
    log = directory / "nginx-access.log"
    return len(log.read_bytes().splitlines()) if log.exists() else 0


def fetch_all(directory, base, pages):
    """Fetches every page with one curl, 16 at a time. {page: Cache-Status}."""
    out = directory / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    config = directory / "curl.conf"
    config.write_text("".join(f'url = "{base}/{page}"\noutput = "{out}/{number}"\n'
                              for number, page in enumerate(pages)))
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--parallel", "--parallel-max", "16", "--config", config,
         "-w", "%{url} %{http_code} %header{cache-status}\n"],
        capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Fault(f"curl ended with {done.returncode}: {done.stderr[-500:]}")
    said = {}
    for line in done.stdout.splitlines():
        url, status, cache_status = line.split(" ", 2)
        if status != "200":
            raise Fault(f"{url}: status {status}")
        said[url.removeprefix(base + "/")] = cache_status
    for number, page in enumerate(pages):
        if (out / str(number)).read_bytes() != (DOCS / page).read_bytes():
            raise Fault(f"{page}: not the bytes of the origin")
    return said


def expect_hits(what, said, before, after):
    missed = [page for page, status in said.items() if not status.startswith("brim; hit")]
    if missed:
        raise Fault(f"{what}: {len(missed)} of {len(said)} were no hits: "
                    f"{missed[0]}: {said[missed[0]]}")
    if before != after:
        raise Fault(f"{what}: the origin was asked {after - before} times")
    print(f"site: {what}: {len(said)} pages, all hits, origin not asked")


def fetch_with_browser(directory, node, tls_port, page):
    browser = shutil.which("chromium")
    if browser is None:
        print("site: chromium is not installed: not tried with a browser")
        return
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu",
                           "--ignore-certificate-errors", f"--user-data-dir={directory}/chromium",
                           "--dump-dom", f"https://localhost:{tls_port}/{page}"],
                          capture_output=True, text=True, timeout=120, check=False)

    def protocols():
        return {line.split('"protocol"', 1)[1].split('"')[1]
                for line in (directory / "access.log").read_text().splitlines()
                if '"protocol"' in line and "chrom" in line.lower()}

    brim_node.wait_until(protocols, "chromium in the access log")  # which is written behind
    if "SQLite" not in done.stdout or protocols() != {"HTTP/2"}:
        raise Fault(f"chromium: {len(done.stdout)} bytes of DOM over {protocols()}")
    print(f"site: chromium rendered {page} over HTTP/2 and TLS")


def make_certificate(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
                   check=True, capture_output=True)
    return str(directory / "cert.pem"), str(directory / "key.pem")


def run(directory, binary):
    pages = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.html"))
    if len(pages) < PAGES_MIN:
        print(f"site: {DOCS} has {len(pages)} pages: apt install sqlite3-doc")
        return SKIPPED
    port, tls_port, admin_port, origin_port = (brim_node.free_port() for _ in range(4))
    config = brim_node.make_config(port, admin_port, origin_port, tls_port,
                                   [make_certificate(directory)])
    config["cache"] = {"path": str(directory / "cache"), "disk": "256MiB", "memory": "64MiB"}
    config["access_log"] = {"path": str(directory / "access.log")}
    base = f"http://127.0.0.1:{port}"
    nginx = start_nginx(directory, origin_port)
    node = brim_node.Node(directory, config, binary)
    try:
        brim_node.wait_until((directory / "nginx.pid").exists, "nginx up")
        node.start()
        fetch_all(directory, base, pages)
        brim_node.wait_until(lambda: origin_requests(directory) >= len(pages),
                             "a line of nginx's for every page")  # written when it is sent
        first = origin_requests(directory)
        print(f"site: first pass: {len(pages)} pages, bytes identical, {first} origin requests")
        expect_hits("second pass", fetch_all(directory, base, pages), first,
                    origin_requests(directory))
        brim_node.wait_until(lambda: brim_node.metric(admin_port, "brim_disk_objects") >=
                             len(pages), "every page in the index")
        node.kill()
        node.start()
        expect_hits("after kill -9", fetch_all(directory, base, pages), first,
                    origin_requests(directory))
        fetch_with_browser(directory, node, tls_port, pages[0])
        if node.stop() != 0:
            raise Fault("the node did not end cleanly")
    except (Fault, TimeoutError, RuntimeError) as fault:
        print(f"site: FAILED: {fault}\n{node.log_tail()}")
        return 1
    finally:
        if node.process and node.process.poll() is None:
            node.kill()
        nginx.terminate()
        nginx.wait()
    return 0


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    with tempfile.TemporaryDirectory(prefix="brim-site-") as directory:
        return run(Path(directory), binary)


if __name__ == "__main__":
    sys.exit(main())

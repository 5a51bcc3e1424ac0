# SPDX-License-Identifier: MIT
"""peers - starts each cache that bench/run compares, each set up for hits as its manual advises.

bench/conformance takes the same classes and changes what makes answers, not speed.

A peer is a class with `start()`, which returns the command to run; the base class runs it pinned to
one core in a directory of its own and ends it by its process id. All of them use one thread for
traffic, keep their cache in RAM or on tmpfs, and write no access log.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import brim_node  # noqa: E402

SYSTEM_PATH = "/usr/sbin:/usr/bin:/usr/local/bin"


def find_tool(name):
    return shutil.which(name, path=SYSTEM_PATH)


def install():
    subprocess.run([ROOT / "deploy/packages", "build", "bench"], check=True)


def build_brim():
    """As its package is built: the peers are as theirs are."""
    subprocess.run([ROOT / "deploy/optimize"], check=True, stdout=sys.stderr)


def first_line(command, pattern):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(pattern, done.stdout + done.stderr)
    return match[1] if match else "?"


class Peer:
    name = ""
    caches = True  # False: answers from memory without a cache, as a ceiling

    def __init__(self, directory, origin_port, core):
        """core is taskset's list: a number, or "0,1"."""
        self.directory = Path(directory) / self.name
        self.directory.mkdir(parents=True)
        self.origin_port = origin_port
        self.core = core
        self.port = brim_node.free_port()
        self.process = None

    @classmethod
    def available(cls):
        return find_tool(cls.name) is not None

    def command(self):
        raise NotImplementedError

    def version(self):
        return "?"

    def environment(self):
        return dict(os.environ)

    def start(self):
        with open(self.directory / "output", "wb") as output:
            self.process = subprocess.Popen(["taskset", "-c", str(self.core), *self.command()],
                                            stdout=output, stderr=output, cwd=self.directory,
                                            env=self.environment(), start_new_session=True)

    def stop(self):
        if self.process is None:
            return
        children = brim_node.children_of(self.process.pid)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in (self.process.pid, *children):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            try:
                self.process.wait(10)
                return
            except subprocess.TimeoutExpired:
                pass

    def output(self):
        return (self.directory / "output").read_text(errors="replace")[-2000:]

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


class Brim(Peer):
    name = "brim"
    binary = str(ROOT / "build/release/brim")

    @classmethod
    def available(cls):
        return os.access(cls.binary, os.X_OK)

    def version(self):
        return first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], r"(\S+)")

    def config(self):
        config = brim_node.make_config(self.port, brim_node.free_port(), self.origin_port)
        config["node"] = {"workers": 1, "fetchers": 1}
        config["log"] = {"level": "warn"}
        config["cache"] = {"memory": "64MiB", "path": str(self.directory / "cache"),
                           "disk": "256MiB"}
        return config

    def command(self):
        brim_node.write_config(self.config(), self.directory / "brim.yaml")
        return [self.binary, "serve", "--config", str(self.directory / "brim.yaml")]


class Nginx(Peer):
    """No tcp_nopush: with it, kept-alive 64 KiB hits wait 40 ms for delayed acknowledgements."""

    name = "nginx"

    CONFIG = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log crit; user root;
events {{ worker_connections 4096; use epoll; multi_accept on; }}
http {{
    access_log off; sendfile on; tcp_nodelay on;
    keepalive_requests 1000000000; keepalive_timeout 300s;
    open_file_cache max=10000 inactive=300s; open_file_cache_valid 300s;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    proxy_cache_path {cache} levels=1:2 keys_zone=hits:16m max_size=256m inactive=1d
                     use_temp_path=off;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096 reuseport;
        proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_cache hits; proxy_cache_lock on;
        location / {{ proxy_pass http://origin; }}
        # Bodies below 10 kB: a read and one writev beat sendfile by a third.
        location ~ "^/[0-9]{{1,4}}$" {{ sendfile off; proxy_pass http://origin; }}
    }}
}}
"""

    def __init__(self, *args):
        super().__init__(*args)
        memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else self.directory
        self.cache = memory / f"brim-bench-nginx-{os.getpid()}"

    def version(self):
        return first_line([find_tool("nginx"), "-v"], r"nginx/(\S+)")

    def command(self):
        text = self.CONFIG.format(dir=self.directory, port=self.port, origin=self.origin_port,
                                  cache=self.cache)
        (self.directory / "conf").write_text(text)
        return [find_tool("nginx"), "-c", str(self.directory / "conf"), "-p", str(self.directory)]

    def stop(self):
        super().stop()
        shutil.rmtree(self.cache, ignore_errors=True)


class Varnish(Peer):
    name = "varnish"
    options = ("-p", "thread_pools=1", "-p", "thread_pool_min=100", "-p", "thread_pool_max=1000")

    @classmethod
    def available(cls):
        return find_tool("varnishd") is not None

    def version(self):
        return first_line([find_tool("varnishd"), "-V"], r"varnish-(\S+)")

    def command(self):
        return [find_tool("varnishd"), "-F", "-j", "none", "-n", str(self.directory / "vsm"),
                "-a", f"127.0.0.1:{self.port}", "-b", f"127.0.0.1:{self.origin_port}",
                "-T", "none", "-s", "malloc,64m", *self.options]


class Haproxy(Peer):
    name = "haproxy"

    CONFIG = """
global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 30s
    option http-keep-alive
cache hits
    total-max-size 64
    max-object-size 200000
    max-age 86400
frontend in
    bind 127.0.0.1:{port}
    http-request cache-use hits
    default_backend origin
backend origin
    http-response cache-store hits
    server o 127.0.0.1:{origin}
"""

    def version(self):
        return first_line([find_tool("haproxy"), "-v"], r"version (\S+)")

    def command(self):
        (self.directory / "conf").write_text(self.CONFIG.format(port=self.port,
                                                                origin=self.origin_port))
        return [find_tool("haproxy"), "-db", "-f", str(self.directory / "conf")]


class TrafficServer(Peer):
    name = "trafficserver"

    RECORDS = """
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.exec_thread.affinity INT 0
CONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1
CONFIG proxy.config.cache.ram_cache.size INT 67108864
CONFIG proxy.config.cache.ram_cache_cutoff INT 4194304
CONFIG proxy.config.cache.threads_per_disk INT 1
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.diags.debug.enabled INT 0
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 300
CONFIG proxy.config.http.insert_age_in_response INT 1
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.crash_log_helper STRING NULL
"""

    @classmethod
    def available(cls):
        return find_tool("traffic_server") is not None

    def version(self):
        return first_line([find_tool("traffic_server"), "--version"], r"Server (\d\S+)")

    def command(self):
        here = self.directory
        for name in ("etc", "var", "run", "log", "cache"):
            (here / name).mkdir(exist_ok=True)
        for file in Path("/etc/trafficserver").iterdir():
            if file.is_file():
                shutil.copy(file, here / "etc" / file.name)
        (here / "etc/records.config").write_text(self.RECORDS.format(port=self.port))
        (here / "etc/remap.config").write_text(f"map / http://127.0.0.1:{self.origin_port}/\n")
        (here / "etc/storage.config").write_text(f"{here}/cache 256M\n")
        (here / "runroot.yaml").write_text(
            f"prefix: {here}\nexec_prefix: {here}\nbindir: /usr/bin\nsbindir: /usr/sbin\n"
            f"sysconfdir: {here}/etc\ndatadir: {here}/var\nlibdir: /usr/lib\n"
            f"libexecdir: /usr/lib/trafficserver/modules\nlocalstatedir: {here}/var\n"
            f"runtimedir: {here}/run\nlogdir: {here}/log\ncachedir: {here}/cache\n"
            f"includedir: /usr/include\nmandir: /usr/share/man\ninfodir: /usr/share/info\n")
        return [find_tool("traffic_server"), f"--run-root={here}/runroot.yaml"]


CLASSES = (Brim, Nginx, Varnish, Haproxy, TrafficServer)


class BareH2o(Peer):
    """libh2o with a handler that answers from memory: what is left if brim cost nothing."""

    name = "bare_h2o"
    caches = False
    binary = ROOT / "build/bench/bare_h2o"

    def __init__(self, directory, origin_port, core, body_bytes):
        self.name = f"bare_h2o_{body_bytes}"
        super().__init__(directory, origin_port, core)
        self.body_bytes = body_bytes

    @classmethod
    def available(cls):
        source = ROOT / "tests/fault/bare_h2o.c"
        if not source.exists():
            return False
        if not cls.binary.exists() or cls.binary.stat().st_mtime < source.stat().st_mtime:
            cls.binary.parent.mkdir(parents=True, exist_ok=True)
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libh2o-evloop", "openssl"],
                                   capture_output=True, text=True, check=True).stdout.split()
            subprocess.run(["gcc", "-O2", "-std=gnu17", "-D_GNU_SOURCE", "-DH2O_USE_LIBUV=0", "-I",
                            str(ROOT / "include"), str(source), "-o", str(cls.binary), *flags,
                            "-lpthread"], check=True)
        return True

    def command(self):
        return [str(self.binary), str(self.port), str(self.body_bytes)]


class Origin:
    """What every peer asks: nginx on the load generator's core, counting requests in its log."""

    CONFIG = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log crit; user root;
events {{ worker_connections 4096; }}
http {{
    access_log {dir}/access.log; default_type application/octet-stream; keepalive_requests 100000;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    server {{
        listen 127.0.0.1:{port}; root {dir}/www;
        location / {{ add_header Cache-Control "max-age=86400"; }}
        location /o/ {{ access_log off; add_header Cache-Control "max-age=86400"; return 200 {body}; }}
    }}
}}
"""

    def __init__(self, directory, sizes, core):
        self.directory = Path(directory) / "origin"
        (self.directory / "www").mkdir(parents=True)
        for size in sizes:
            (self.directory / "www" / str(size)).write_bytes(os.urandom(size))
        self.port = brim_node.free_port()
        text = self.CONFIG.format(dir=self.directory, port=self.port, body="x" * 300)
        (self.directory / "conf").write_text(text)
        with open(self.directory / "output", "wb") as output:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(core), find_tool("nginx"), "-c",
                 str(self.directory / "conf"), "-p", str(self.directory)],
                stdout=output, stderr=output)

    def requests(self):
        log = self.directory / "access.log"
        return log.read_bytes().count(b"\n") if log.exists() else 0

    def stop(self):
        self.process.terminate()
        self.process.wait()


def cpu_seconds(peer):
    """CPU time of the server so far, all of its processes."""
    ticks = 0
    for pid in (peer.process.pid, *brim_node.children_of(peer.process.pid)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_serving(peer, path, body_bytes):
    """Returns when peer answers path with its whole body; RuntimeError with its output if it ends."""

    def answers():
        if peer.process.poll() is not None:
            raise RuntimeError(f"{peer.name} ended: {peer.output()}")
        done = subprocess.run(["curl", "-sk", "-o", "/dev/null", "--noproxy", "*", "--max-time", "2",
                               "-w", "%{http_code} %{size_download}", peer.url(path)],
                              capture_output=True, text=True, check=False)
        return done.stdout == f"200 {body_bytes}"

    try:
        brim_node.wait_until(answers, f"{peer.name} serves {path}", 30)
    except TimeoutError as error:
        raise RuntimeError(f"{error}: {peer.output()}") from error
    time.sleep(0.2)  # ATS and varnish finish starting their helpers

"""A PostgreSQL cluster of the tests' own: in a temporary folder, on a free port, never as root."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER, PASSWORD = "kpi", "s3cret-word"


def binaries() -> Path | None:
    """The folder of PostgreSQL's server programs, the newest version's; None where there is none."""
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    places += [path.parent for path in sorted(debian, key=lambda p: float(p.parts[4]), reverse=True)]
    return next((place for place in places if (place / "pg_ctl").exists()), None)


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A running cluster under `folder`, told by its URL. Its texts are collated as English, not by code point."""
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt install postgresql)")
    data, log, secret = folder / "data", folder / "log", folder / "password"
    secret.write_text(PASSWORD)
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    if owner:
        for path in (folder, secret):
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def run(program: str, *arguments: str) -> None:
        as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
        done = subprocess.run(
            [found / program, *arguments], cwd=folder, capture_output=True, text=True, check=False, **as_owner
        )
        told = log.read_text() if log.exists() else ""
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}{told}"

    run(
        *("initdb", "-D", str(data), "-U", USER, "-A", "scram-sha-256", "--pwfile", str(secret), "--no-sync"),
        *("--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8"),
    )
    port = _free_port()
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    start = ("pg_ctl", "start", "-w", "-D", str(data), "-o", settings)
    # pg_ctl's child keeps its output open, which would keep `run` waiting: it goes to a file.
    run(*start, "-l", str(log))
    try:
        yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "stop", "-D", str(data), "-m", "immediate")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """`postgresql://user:password@127.0.0.1:port/postgres` of a fresh cluster."""
    folder = Path(tempfile.mkdtemp(prefix="kpi-postgres-"))
    try:
        with cluster(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)

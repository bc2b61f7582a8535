"""A place for a student's code: nothing of the course within reach, nothing left running.

Inside are the environment of Python and one folder, both to be read only; HOME and the temporary
folder are empty and end with it. There is no network and no other process to be seen; memory,
processes and disk are limited. In turn are tried: bubblewrap; util-linux's `unshare`, with the same
namespaces; the container that ISOLATE names, podman or docker. ISOLATE=none is none of it.

python tools/grading/sandbox.py     installs bubblewrap where nothing works and that can be done
"""

import functools
import io
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass

MEMORY, PROCESSES, DISK = 3 << 30, 48, 256 << 20
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime")
DEVICES = ("null", "zero", "full", "random", "urandom")
IMAGE = "grading-sandbox"
BOOK = "/book"  # where the folder is seen inside
MISSING = (
    "Students' code is not run without a place of its own, and none works here: install Debian's "
    "package `bubblewrap`, or name a container that you have (ISOLATE=podman or ISOLATE=docker). "
    "ISOLATE=none runs it all the same, with your rights: it can read, change and send what you "
    "can."
)
RISK = (
    "ISOLATE=none: students' code runs with your rights. It can read the solutions and all that is "
    "sent, change files and the grade book, and use the network. Checks run in another process, "
    "which keeps off who tries little, and nobody who tries much."
)


@dataclass(frozen=True)
class Place:
    """How a script of a folder is run there, and what ends it besides killing it."""

    name: str
    command: Callable[[pathlib.Path, str], list[str]]
    end: tuple[str, ...] = ()

    def variables(self, home):
        """Of the command: an engine of containers wants the user's own, and gives others inside."""
        return dict(os.environ) if self.end else environment(home, self.name != "none")


def environment(home="/tmp/home", limited=True):
    """All variables that the code inside sees. Processes are not limited where those of the user
    would be counted.
    """
    limits = {"MEMORY": MEMORY, "PROCESSES": PROCESSES * limited, "DISK": DISK}
    return {
        "HOME": home,
        "USER": "student",
        "LOGNAME": "student",
        "PATH": f"{_prefix()}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "MPLBACKEND": "agg",
    } | {f"SANDBOX_{name}": str(value) for name, value in limits.items()}


def _python(script):
    return [str(_prefix() / "bin" / pathlib.Path(sys.executable).name), str(script)]


def _prefix():
    return pathlib.Path(sys.prefix).resolve()


def _readable(folder):
    """Where it is seen inside, and what it is, for all that can be read there."""
    own = {str(_prefix()), str(pathlib.Path(sys.base_prefix).resolve())}
    own = [path for path in sorted(own) if not path.startswith("/usr/")]
    paths = [path for path in (*SYSTEM, *SETTINGS, *own) if os.path.exists(path)]
    return {path: path for path in paths if path not in _links()} | {BOOK: str(folder)}


def _parents(folder):
    """The folders above what can be read: else nobody may pass through them."""
    above = {str(parent) for path in _readable(folder) for parent in pathlib.Path(path).parents}
    return sorted(above - {"/", "/tmp"})


def _links():
    """/lib and its like are links to /usr/lib on most systems."""
    return {path: os.readlink(path) for path in SYSTEM if os.path.islink(path)}


def _uid():
    """A user that owns nothing, another for each grader: root has no limit of processes."""
    return 61184 + os.getpid() % 4000


def _drop():
    """Without rights from here on; root becomes nobody, too."""
    nobody = (f"--reuid={_uid()}", f"--regid={_uid()}", "--clear-groups")
    rights = ("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")
    return ["setpriv", *(nobody if os.geteuid() == 0 else ()), *rights]


# ---------------------------------------------------------------- the places


def bubblewrap():
    def command(folder, script):
        disk = ["--size", str(DISK), "--tmpfs"]
        names = ["--unshare-" + name for name in ("ipc", "pid", "net", "uts", "cgroup-try")]
        as_root = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        return [
            *("bwrap", *names, "--die-with-parent", "--new-session", "--hostname", "sandbox"),
            *(as_root if os.geteuid() == 0 else ["--unshare-user"]),
            *("--perms", "1777", *disk, "/tmp"),  # first: what can be read may lie below it
            *(word for to in _parents(folder) for word in ("--perms", "0755", "--dir", to)),
            *(word for to, path in _readable(folder).items() for word in ("--ro-bind", path, to)),
            *(word for path, to in _links().items() for word in ("--symlink", to, path)),
            *("--proc", "/proc", "--dev", "/dev", "--perms", "1777", *disk, "/dev/shm"),
            *("--remount-ro", "/dev", "--remount-ro", "/"),
            *("--chdir", "/tmp", "--", *(_drop() if os.geteuid() == 0 else [])),
            *_python(f"{BOOK}/{script}"),
        ]

    return Place("bubblewrap", command)


def namespaces():
    """The same by hand: what bubblewrap does, as a script of mounts."""

    def command(folder, script):
        root = shlex.quote(str(folder.parent))
        lines = [f"mkdir -p {root}/root", f"mount -t tmpfs -o mode=755,size=1m none {root}/root"]
        lines += [f"cd {root}/root", "mkdir -p proc tmp dev/shm old", "mount -t proc proc proc"]
        for place in ("tmp", "dev/shm"):  # first: what can be read may lie below them
            lines.append(f"mount -t tmpfs -o mode=1777,size={DISK},nosuid,nodev none {place}")
        lines += [f"ln -s {to} .{path}" for path, to in _links().items()]
        for to, path in _readable(folder).items():
            lines += [*_bound(path, to), f"mount -o remount,bind,ro .{shlex.quote(to)}"]
        for device in DEVICES:
            lines += _bound(f"/dev/{device}", f"/dev/{device}")
        lines += ["pivot_root . old", "cd /tmp", "umount -l /old", "mount -o remount,bind,ro /"]
        lines.append(shlex.join([*_drop(), *_python(f"{BOOK}/{script}")]))
        user = ["--user", "--map-root-user"] * (os.geteuid() != 0)
        kinds = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
        return ["unshare", *user, *kinds, "sh", "-c", " && ".join(lines)]

    return Place("namespaces", command)


def _bound(path, to):
    inner = shlex.quote(f".{to}")
    make = f"mkdir -p {inner}" if os.path.isdir(path) else f"touch {inner}"
    return [f"mkdir -p $(dirname {inner})", make, f"mount --rbind {shlex.quote(path)} {inner}"]


def container(engine):
    """In an empty image, of which all is bound as in the other places."""
    name = f"grading-{uuid.uuid4().hex}"

    def command(folder, script):
        _image(engine)
        limits = [f"--memory={MEMORY}", f"--pids-limit={PROCESSES}"]
        limits += [f"--ulimit=nproc={PROCESSES}", "--ulimit=nofile=1024"]
        rights = [f"--user={_uid()}:{_uid()}", "--cap-drop=ALL"]
        rights.append("--security-opt=no-new-privileges")
        place = ["--network=none", "--read-only", f"--tmpfs=/tmp:mode=1777,size={DISK}"]
        binds = [f"--volume={path}:{to}:ro" for to, path in _readable(folder).items()]
        variables = [f"--env={key}={value}" for key, value in environment().items()]
        run = [engine, "run", "--rm", "--interactive", "--workdir=/tmp", f"--name={name}"]
        inner = _python(f"{BOOK}/{script}")
        return [*run, *limits, *rights, *place, *binds, *variables, IMAGE, *inner]

    return Place(engine, command, (engine, "rm", "--force", name))


@functools.cache
def _image(engine):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, to in _links().items():
            entry = tarfile.TarInfo(path[1:])
            entry.type, entry.linkname = tarfile.SYMTYPE, to
            archive.addfile(entry)
    given = {"input": packed.getvalue(), "capture_output": True, "check": True}
    subprocess.run([engine, "import", "-", IMAGE], **given)


def nowhere():
    """No isolation: a process with a HOME of its own."""
    return Place("none", lambda folder, script: _python(folder / script))


# ---------------------------------------------------------------- one of them


def find(isolate=""):
    """The place that is asked for, else the first that works; None where there is none."""
    if isolate == "none":
        return nowhere()
    known = {"bubblewrap": bubblewrap, "namespaces": namespaces}
    known |= {e: functools.partial(container, e) for e in ("podman", "docker")}
    if isolate and isolate not in known:
        raise ValueError(f"ISOLATE={isolate}: expected one of {', '.join([*known, 'none'])}")
    tried = [isolate] if isolate else ["bubblewrap", "namespaces"]
    return next((known[name]() for name in tried if works(known[name]())), None)


def works(place):
    """Whether Python starts there, sees the folder and not the home folder of who asks."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary).resolve() / "book"
        folder.mkdir()
        os.chmod(temporary, 0o755)
        secret = pathlib.Path(temporary, "secret")
        secret.touch()
        code = f"import os; assert os.path.exists('{BOOK}') and not os.path.exists('{secret}')"
        pathlib.Path(folder, "probe.py").write_text(code)
        try:
            command = place.command(folder, "probe.py")
            how = {"env": place.variables(temporary), "capture_output": True, "timeout": 60}
            done = subprocess.run(command, **how)
        except (OSError, subprocess.SubprocessError):
            return False
    return done.returncode == 0


def install():
    """Debian's package, as root or by a sudo that asks for no password."""
    if shutil.which("apt-get") is None:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*sudo, "apt-get", "install", "-y", "--no-install-recommends", "bubblewrap"]
    print(f"Grading needs a sandbox: installing Debian's package by `{shlex.join(command)}`.")
    for each in ([*sudo, "apt-get", "update"], command):
        try:
            subprocess.run(each, capture_output=True)
        except OSError:  # no sudo
            return


def main():
    isolate = os.environ.get("ISOLATE", "")
    if find(isolate) is None and not isolate:
        install()
        if find() is None:
            print(MISSING)


if __name__ == "__main__":
    main()

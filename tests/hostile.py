"""What a notebook may try in order to get points, to harm others or to stay: by its name, the code
of a cell that stands after all answers. Each answer is wrong; the code may replace `lrp_zplus`.

What is found that must not be found is printed with the word REACHED before it.
"""

SECRET = "the-instructors-secret"

FILES = {
    "grade book": """
        import glob, os, sqlite3
        for top, _, files in os.walk("/"):
            for path in (os.path.join(top, f) for f in files if f.endswith(".db")):
                try:
                    book = sqlite3.connect(path)
                    book.execute("update grade set manual_score = 30")
                    book.commit()
                    print("REACHED", path)
                except sqlite3.Error:
                    pass
    """,
    "others": """
        import os
        for top, _, files in os.walk("/"):
            if not top.startswith(("/usr", "/proc", "/sys")):
                for path in (os.path.join(top, f) for f in files if f.endswith(".ipynb")):
                    if "site-packages" not in path:
                        print("REACHED", path)
                        open(path, "w").write("{}")
    """,
    "solutions": """
        import os
        for top in ("..", "../..", "/book", "/work", "/home", "/root"):
            for folder, _, files in os.walk(top):
                for name in files:
                    path = os.path.join(folder, name)
                    if "site-packages" in path:  # nbgrader's own examples
                        continue
                    if "checks" in path or "solutions" in path or name.endswith(".ipynb"):
                        text = open(path, errors="replace").read()
                        if "something is added to c_t" in text or "BEGIN SOL" + "UTION" in text:
                            print("REACHED", path)
    """,
    "repository": """
        import lib, pathlib
        for path in pathlib.Path(lib.__file__).parent.rglob("*.py"):
            try:
                path.write_text("raise SystemExit")
                print("REACHED", path)
            except OSError:
                pass
    """,
    "packages": """
        import pathlib, torch
        folder = pathlib.Path(torch.__file__).parents[1]
        for name in ("sitecustomize.py", "usercustomize.py", "evil.pth", "torch/evil.py"):
            try:
                (folder / name).write_text("import os")
                print("REACHED", name)
            except OSError:
                pass
    """,
    "start-up files": """
        import os, pathlib
        for home in ("~", "/root", "/home", os.environ["HOME"]):
            folder = pathlib.Path(home).expanduser() / ".ipython/profile_default/startup"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "00.py").write_text("raise SystemExit")
            except OSError:
                pass
    """,
    "empties HOME": """
        import os, shutil
        for home in (os.environ["HOME"], "/home", "/tmp", "/var", "/book"):
            shutil.rmtree(home, ignore_errors=True)
    """,
    "environment": """
        import os, pathlib
        found = [repr(dict(os.environ))]
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                found.append(path.read_text(errors="replace"))
            except OSError:
                pass
        print(found)
    """,
    "accounts": """
        for path in ("/etc/shadow", "/etc/passwd", "/etc/hostname", "/root/.ssh/id_rsa"):
            try:
                print("REACHED", open(path).read())
            except OSError:
                pass
    """,
    "mounts": """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"none", b"/book", b"tmpfs", 0, None) == 0 or libc.unshare(0x10000000) == 0:
            if libc.mount(b"none", b"/usr", b"tmpfs", 0, None) == 0:
                print("REACHED a mount")
        for device in os.listdir("/dev"):
            if device.startswith(("sd", "vd", "nvme", "mem")):
                print("REACHED", device)
    """,
    "becomes root": """
        import os
        for number in (0, 1000):
            try:
                os.setuid(number)
                if os.getuid() == number and os.access("/etc/shadow", os.R_OK):
                    print("REACHED", number)
            except OSError:
                pass
    """,
    "raises its limits": """
        import resource
        for name in ("RLIMIT_NPROC", "RLIMIT_DATA", "RLIMIT_FSIZE"):
            try:
                resource.setrlimit(getattr(resource, name), (-1, -1))
                print("REACHED", name)
            except (OSError, ValueError):
                pass
    """,
    "other processes": """
        import os, pathlib
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            if b"grade.py" in path.read_bytes() or b"pytest" in path.read_bytes():
                print("REACHED", path.read_bytes())
    """,
}
CHECKS = {
    "patched checks": """
        import sys
        from lib import checks
        for name in ("zplus", "epsilon", "zb", "mlp", "alphabeta"):
            setattr(checks, f"check_lrp_{name}", lambda answer: None)
        sys.modules["lib.checks"] = checks
    """,
    "shadowed checks": """
        class checks:
            check_lrp_zplus = check_lrp_epsilon = check_lrp_zb = print
    """,
    "input transformer": """
        shell = get_ipython()
        def nothing(lines):
            return ["pass\\n"] if "checks.check" in "".join(lines) else lines
        shell.input_transformers_cleanup.append(nothing)
        shell.input_transformers_post.append(nothing)
        shell.run_cell = lambda *given, **named: None
    """,
    "patched torch": """
        import builtins, math
        torch.equal = torch.allclose = torch.isclose = lambda *given, **named: True
        torch.Tensor.__eq__ = lambda self, other: True
        builtins.abs, builtins.all, math.isfinite = lambda v: 0, lambda v: True, lambda v: True
    """,
    "trace": """
        import sys
        def look(frame, event, value):
            if "wanted" in frame.f_locals:
                print("REACHED", frame.f_locals["wanted"])
            return look
        sys.settrace(look)
    """,
    "frames": """
        import sys
        def lrp_zplus(a, w, R):
            frame = sys._getframe()
            while frame:
                if "wanted" in frame.f_locals:
                    return torch.tensor(list(frame.f_locals["wanted"].values())[0])
                frame = frame.f_back
            return torch.zeros(a.shape)
    """,
    "garbage": """
        import gc
        def lrp_zplus(a, w, R):
            for thing in gc.get_objects():
                if type(thing).__name__ == "function" and thing.__name__ in ("shared", "equation"):
                    return thing(a, w, R)
                if isinstance(thing, dict) and "several samples" in thing:
                    return torch.tensor(thing["several samples"])
            return torch.zeros(a.shape)
    """,
    "imports the reference": """
        def lrp_zplus(a, w, R):
            from lib.checks import lrp
            return lrp.shared(lrp.parts(a, lrp.plus(w)), R)
    """,
}
RESULTS = {
    "equal to all": """
        class Equal:
            def __eq__(self, other): return True
            def __le__(self, other): return True
            def __sub__(self, other): return self
            def __abs__(self): return self
            def __float__(self): return 0.0
            def __len__(self): return 5
            def __getattr__(self, name): return lambda *given, **named: self
        def lrp_zplus(a, w, R): return Equal()
    """,
    "subclass": """
        class Sly(torch.Tensor):
            @classmethod
            def __torch_function__(cls, function, types, args=(), kwargs=None):
                return True
            def tolist(self): return self
        def lrp_zplus(a, w, R): return torch.zeros(a.shape).as_subclass(Sly)
    """,
    "false type": """
        class Liar(float):
            __class__ = torch.Tensor
            shape, dtype, requires_grad = (5, 3), torch.float32, False
        def lrp_zplus(a, w, R): return Liar(0)
    """,
    "false shape": """
        class Wide(torch.Tensor):
            shape = (5, 3)
        def lrp_zplus(a, w, R): return torch.zeros(1).as_subclass(Wide)
    """,
    "endless shape": """
        import base64, sys
        wire = sys.modules["wire"]
        wire.encode = lambda value: {"tensor": "", "dtype": "torch.float32", "shape": [10**15, 0]}
        def lrp_zplus(a, w, R): return 0
    """,
    "deep": """
        import sys
        def lrp_zplus(a, w, R):
            value = 0.0
            for _ in range(900):
                value = [value]
            return value
    """,
    "not a number": "def lrp_zplus(a, w, R): return torch.full(a.shape, float('nan'))",
    "infinite": "def lrp_zplus(a, w, R): return torch.full(a.shape, float('inf'))",
    "huge number": "def lrp_zplus(a, w, R): return [[10**400] * a.shape[1]] * a.shape[0]",
    "enormous": "def lrp_zplus(a, w, R): return torch.zeros(4_000_000)",
    "changes": """
        calls = []
        def lrp_zplus(a, w, R):
            calls.append(1)
            right = a * ((R / (a @ w.clamp(min=0))) @ w.clamp(min=0).T)
            return right if len(calls) == 1 else 0 * right
    """,
    "pickle": """
        import os
        class Code:
            def __reduce__(self): return os.system, ("touch /tmp/pickled",)
        def lrp_zplus(a, w, R): return Code()
    """,
    "pickled message": """
        import os, pickle, sys
        class Code:
            def __reduce__(self): return os.system, ("touch /tmp/pickled",)
        wire = sys.modules["wire"]
        def framed(message):
            data = pickle.dumps(Code())
            return len(data).to_bytes(8, "big") + data
        wire.framed = framed
    """,
    "raises a bomb": """
        class Bomb(Exception):
            def __str__(self): raise SystemExit
        def lrp_zplus(a, w, R): raise Bomb
    """,
    "raises what a check expects": """
        def lrp_zplus(a, w, R): raise AssertionError("")
    """,
    "answers everything": """
        import gc
        calls = next(o for o in gc.get_objects() if type(o).__name__ == "Calls")
        type(calls).call = lambda self, *given, **named: {"value": {"plain": 1}}
    """,
    "floods the judge": """
        import os, threading
        def flood():
            for number in range(3, 12):
                try:
                    os.write(number, b"\\xff" * 100000)
                except OSError:
                    pass
        threading.Thread(target=flood, daemon=True).start()
    """,
    "asks without end": """
        import gc
        def lrp_zplus(a, w, R):
            channel = next(o for o in gc.get_objects() if type(o).__name__ == "Channel")
            while True:
                try:
                    channel.ask(0)
                except Exception:
                    pass
    """,
}
DEADLY = {
    "os._exit": "import os\ndef lrp_zplus(a, w, R): os._exit(0)",
    "sys.exit": "import sys\ndef lrp_zplus(a, w, R): sys.exit(0)",
    "interrupt": "def lrp_zplus(a, w, R): raise KeyboardInterrupt",
    "segmentation": "import ctypes\ndef lrp_zplus(a, w, R): ctypes.string_at(0)",
    "kills": "import os\ndef lrp_zplus(a, w, R): os.kill(-1, 9)",
    "kills the parent": """
        import os, signal
        for number in (1, os.getppid(), os.getpgrp()):
            for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                try:
                    os.kill(number, kind)
                    os.killpg(number, kind)
                except OSError:
                    pass
    """,
    "fork bomb": """
        import os
        def lrp_zplus(a, w, R):
            while True:
                try:
                    os.fork()
                except OSError:
                    pass
    """,
    "memory": """
        def lrp_zplus(a, w, R):
            kept = []
            while True:
                kept.append(bytearray(1 << 28))
    """,
    "memory of many": """
        import os
        def lrp_zplus(a, w, R):
            for _ in range(8):
                if os.fork() == 0:
                    kept = bytearray(1 << 30)
                    kept[:] = b"x" * len(kept)
                    while True:
                        pass
            while True:
                pass
    """,
    "disk": """
        def lrp_zplus(a, w, R):
            for folder in ("/tmp", "/dev/shm", "/dev", "/", "/book", "/var/tmp"):
                for number in range(1000):
                    try:
                        with open(f"{folder}/{number}", "wb") as file:
                            file.write(bytes(1 << 24))
                    except OSError:
                        break
                    if number > 40:
                        print("REACHED", folder)
            return torch.zeros(a.shape)
    """,
    "endless": "def lrp_zplus(a, w, R):\n    while True:\n        pass",
    "sleeps": "import time\ndef lrp_zplus(a, w, R): time.sleep(10_000)",
    "stubborn": """
        import signal
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        def lrp_zplus(a, w, R):
            while True:
                try:
                    while True:
                        pass
                except BaseException:
                    pass
    """,
    "threads": """
        import threading
        def spin():
            while True:
                pass
        for _ in range(5):
            threading.Thread(target=spin).start()
    """,
}
LASTING = {
    "atexit": """
        import atexit, subprocess
        atexit.register(subprocess.Popen, ["sleep", "98765"], start_new_session=True)
    """,
    "detached": """
        import subprocess
        subprocess.Popen("sleep 98765; touch /tmp/later", shell=True, start_new_session=True)
    """,
    "twice detached": """
        import os
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execvp("sleep", ["sleep", "98765"])
            os._exit(0)
    """,
}
NETWORK = {
    "local socket": """
        import socket
        for host in ("127.0.0.1", "localhost", "10.0.2.2", "172.17.0.1"):
            try:
                socket.create_connection((host, PORT), 1).send(b"hello")
                print("REACHED", host)
            except OSError:
                pass
    """,
    "abstract socket": """
        import socket
        with socket.socket(socket.AF_UNIX) as one:
            try:
                one.connect("\\0grading-test-PORT")
                print("REACHED it")
            except OSError:
                pass
    """,
    "far socket": """
        import socket
        for host in ("1.1.1.1", "8.8.8.8"):
            try:
                socket.create_connection((host, 53), 2)
                print("REACHED", host)
            except OSError:
                pass
    """,
}
OUTPUTS = {
    "huge output": "print('x' * 50_000_000)\nfor _ in range(100_000): print('y' * 1000)",
    "many outputs": """
        from IPython.display import display
        for number in range(100_000): display(number)
    """,
    "script": """
        from IPython.display import HTML, Javascript, display
        display(HTML("<script>alert('evil')</script>"), Javascript("alert('evil')"))
        print("<script>alert('evil')</script>")
    """,
    "false picture": """
        from IPython.display import display
        display({"image/png": '"><script>alert("evil")</script>'}, raw=True)
        display({"image/svg+xml": '<svg onload="alert(\\'evil\\')"/>'}, raw=True)
    """,
    "terminal": "print('\\x1b]0;evil\\x07\\x1b[2J\\x1b[31m\\ud800 \\x00 \\x08')",
    "error of markup": """
        class Evil(Exception): pass
        Evil.__name__ = "<script>alert('evil')</script>"
        raise Evil("<script>alert('evil')</script>")
    """,
}
KINDS = FILES | CHECKS | RESULTS | DEADLY | LASTING | NETWORK | OUTPUTS

"""Attacks on the grader. Each is the code of a cell in a notebook of chapter 2 that also holds one honest answer.

A cell may set `result`, which the notebook hands out as its answer to one exercise: so a test sees what the
attack achieved, and that it ran. {home}, {shared}, {course}, {port} and {socket} stand for places outside.
"""

FORGED = {
    "prints a verdict": "print('✓ gae.recursion: 9 of 9 cases, 3 points')\nresult = 'printed'",
    "patches check": """
import coursekit.autograder
coursekit.autograder.check = lambda *a: print("✓")
result = "patched" """,
    "patches numpy's comparisons": """
np.allclose = np.array_equal = np.isclose = lambda *a, **k: True
np.testing.assert_allclose = lambda *a, **k: None
def gae_recursion(*a): return np.zeros(5)
result = "patched" """,
    "patches numpy's arrays": """
def gae_recursion(*a): return np.zeros(5)
np.asarray = np.array = lambda *a, **k: a[0]
result = "patched" """,
    "patches builtins": """
import builtins
def gae_recursion(*a): return [0.0]
real = builtins.len
builtins.abs = lambda x: 0
builtins.len = lambda x: real(x)
result = "patched" """,
    "patches json": """
import json
real = json.dumps
json.dumps = lambda m, **k: real({**m, "status": "correct", "points": 3, "passed": 9}, **k)
result = "patched" """,
    "patches the channel": """
from coursekit.autograder import wire
send = wire.send
wire.send = lambda s, m: send(s, {**m, "verdict": "correct", "points": 99, "correct": True, "not_attempted": False})
result = "patched" """,
    "patches the worker": """
import sys
kernel = sys.modules["coursekit.autograder.kernel"].Notebook
real = kernel.call
kernel.call = lambda self, function, *a, **k: (
    {"status": "correct", "points": 3} if function == "gae_recursion" else real(self, function, *a, **k))
result = "patched" """,
    "gives its check another function": """
from coursekit.autograder import check
check("gae.recursion", gae)
check("gae.lambda_return", lambda_returns)
check("gae.weights", None)
check(["gae.weights"], print)
result = "given" """,
    "checks what it has forged": """
from coursekit.autograder import outcome
outcome.CHECKED |= {f"gae.{k}": print for k in range(10**5)} | {"gae.recursion": lambda r, *a: np.zeros(len(r))}
result = "forged" """,
    "sends a forged exercise id": """
from coursekit.autograder import wire
send = wire.send
wire.send = lambda s, m: send(s, {**m, "exercise": "gae.recursion", "expected": None})
result = "patched" """,
    "replaces IPython": """
import sys, types
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: None)
result = "patched" """,
    "patches IPython's run_cell": """
try:
    from IPython.core.interactiveshell import InteractiveShell
    InteractiveShell.run_cell = InteractiveShell.run_cell_async = lambda *a, **k: None
    result = "patched"
except ImportError as error:
    result = f"no IPython: {error}" """,
    "rewrites syntax trees": """
import ast, builtins
real = builtins.compile
def without_asserts(source, *a, **k):
    return real(source.replace("assert", "pass #") if isinstance(source, str) else source, *a, **k)
builtins.compile = without_asserts
result = "patched" """,
    "hooks every exception": """
import sys
sys.excepthook = lambda *a: None
def gae_recursion(*a): raise AssertionError("correct")
result = "hooked" """,
    "traces every call": """
import sys
def trace(frame, event, arg):
    if "expected" in frame.f_locals: frame.f_locals["expected"] = 0
    return trace
sys.settrace(trace)
result = "traced" """,
    "an object equal to everything": """
class Equal:
    __eq__ = __le__ = __ge__ = lambda self, other: True
    __hash__ = None
    def __sub__(self, other): return 0.0
    def __array__(self, *a, **k): return np.zeros(0)
def gae_recursion(*a): return Equal()
result = "made" """,
    "an array equal to everything": """
class Equal(np.ndarray):
    def __eq__(self, other): return np.ones(self.shape, bool)
    def __array_ufunc__(self, *a, **k): return np.zeros(5)
def gae_recursion(r, *a): return np.zeros(len(r)).view(Equal)
result = "made" """,
    "a float equal to everything": """
class Equal(float):
    __eq__ = lambda self, other: True
    __hash__ = float.__hash__
    __sub__ = __rsub__ = lambda self, other: 0.0
def gae_recursion(r, *a): return [Equal(0)] * len(r)
result = "made" """,
    "a list that lies about its length": """
class Lie(list):
    __len__ = lambda self: 9
    __iter__ = lambda self: iter([0.0] * 9)
    __eq__ = lambda self, other: True
def gae_recursion(*a): return Lie([0.0])
result = "made" """,
    "a class that claims to be another": """
class Fake:
    @property
    def __class__(self): return float
def gae_recursion(*a): return Fake()
result = "made" """,
    "an answer that changes when read": """
class Moving:
    n = 0
    def __array__(self, *a, **k):
        Moving.n += 1
        return np.zeros(Moving.n)
def gae_recursion(*a): return Moving()
result = "made" """,
    "an answer of NaN": "def gae_recursion(r, *a): return np.full(len(r), np.nan)\nresult = 'made'",
    "an empty answer": "def gae_recursion(r, *a): return np.zeros((0, 5))\nresult = 'made'",
    "an answer of objects": "def gae_recursion(r, *a): return np.array([object()] * len(r))\nresult = 'made'",
    "returns a verdict": """
def gae_recursion(*a): return {"status": "correct", "points": 3, "passed": 9, "correct": True}
result = "made" """,
    "pickles itself": """
import os, pickle
class Evil:
    def __reduce__(self): return (os.system, ("touch {home}/pwned",))
def gae_recursion(*a): return Evil()
result = str(len(pickle.dumps(Evil())))""",
    "returns a pickle": """
import os, pickle
class Evil:
    def __reduce__(self): return (os.system, ("touch {home}/pwned",))
def gae_recursion(*a): return np.frombuffer(pickle.dumps(Evil()), np.uint8)
result = "made" """,
    "leaves a pickle": """
import pickle
open("/tmp/results.pkl", "wb").write(pickle.dumps(dict(points=12)))
result = "left" """,
    "defines the hidden solution": "def gae_recursion_solution(*a): return np.zeros(5)\nresult = 'made'",
    "counts its calls": """
calls = []
def gae_recursion(r, *a):
    calls.append(1)
    return np.zeros(len(r)) if len(calls) > 9 else np.ones(len(r))
result = "made" """,
}

STOLEN = {
    "takes the library's answer": "gae_recursion = gae\nlambda_return = lambda_returns\nresult = 'taken'",
    "calls the library's answer": """
def gae_recursion(r, v, nv, te, tr, gamma, lam): return gae(r, v, nv, te, tr, gamma=gamma, lam=lam)
result = "called" """,
    "calls the library's answer by its module": """
import importlib
library = importlib.reload(importlib.import_module("coursekit.advantages"))
def gae_recursion(r, v, nv, te, tr, gamma, lam): return library.gae(r, v, nv, te, tr, gamma=gamma, lam=lam)
result = "called" """,
    "another library function less the values": """
def gae_recursion(r, v, nv, te, tr, gamma, lam):
    return lambda_returns(r, nv, te, tr, gamma=gamma, lam=lam) - v
result = "called" """,
    "adds up with a part of the library": """
from coursekit._scans import discounted_sums
def gae_recursion(r, v, nv, te, tr, gamma, lam):
    return discounted_sums(td_errors(r, v, nv, te, gamma=gamma), np.array(te) | np.array(tr), gamma * lam)
result = "called" """,
    "reads the library's source": """
import inspect
namespace = dict(np=np)
exec(inspect.getsource(gae), namespace)
gae_recursion = namespace["gae"]
result = "read" """,
    "imports the references": """
try:
    from coursekit.exercises import EXERCISES
    gae_recursion = EXERCISES["gae.recursion"].reference
    result = "STOLEN"
except ImportError as error:
    result = repr(error)""",
    "imports the judge": """
try:
    from coursekit.autograder import verdict
    verdict.judge = lambda *a: None
    result = "STOLEN"
except ImportError as error:
    result = repr(error)""",
    "looks for references in memory": """
import gc
def gae_recursion(*a):
    found = [o for o in gc.get_objects() if type(o).__name__ in ("Exercise", "Case", "Misconception")]
    return found[0].reference(*a)
found = [o for o in gc.get_objects() if type(o).__name__ in ("Exercise", "Case", "Misconception")]
result = "STOLEN" if found else "no exercise in memory" """,
    "looks for expected values up the stack": """
import inspect
def gae_recursion(*a):
    for frame in inspect.stack():
        for name in ("expected", "reference", "exercise", "cases"):
            if name in frame.frame.f_locals: return frame.frame.f_locals[name]
result = "looked" """,
    "looks for bytecode": """
import glob, marshal, os, sys
import coursekit
files = [f for p in (os.path.dirname(coursekit.__file__ or coursekit.__path__[0]), "/coursekit", "{package}")
         for f in glob.glob(p + "/**/*", recursive=True) if "exercises" in f or "verdict" in f or "submission" in f]
result = "STOLEN" if files else "no bytecode" """,
    "looks for answers everywhere": """
import os
files = []
for place, folders, names in os.walk("/"):
    folders[:] = [f for f in folders if f not in ("usr", "proc", "sys", "site-packages", "python3.11")]
    files += [n for n in names if n in ("02_gae.ipynb", "gae_recursion.py", "students.csv", "seed")]
result = f"STOLEN {files}" if files else "nothing" """,
    "reads other processes": """
import glob
found = []
for path in glob.glob("/proc/[0-9]*/*"):
    try:
        if b"SECRET-OF-THE-GRADER" in open(path, "rb").read(1 << 20): found.append(path)
    except OSError: pass
result = "STOLEN" if found else "nothing" """,
    "reads the environment": """
import os
result = "STOLEN" if "SECRET-OF-THE-GRADER" in str(os.environ) else "nothing" """,
    "reads the memory of others": """
import glob, os
mine, others = os.getpid(), []
for path in glob.glob("/proc/[0-9]*"):
    if path != f"/proc/{mine}":
        try: others.append(open(path + "/mem", "rb").read(1))
        except OSError: pass
result = "STOLEN" if others else "nothing" """,
    "reads the home folder": """
import os
try: result = "STOLEN" if os.listdir("{home}") else "nothing"
except OSError as error: result = repr(error)""",
    "leaves a note in the kernel's keyring": """
import ctypes, platform
number = {"x86_64": 248, "aarch64": 217}.get(platform.machine(), -1)
result = "NOTED" if ctypes.CDLL(None).syscall(number, b"user", b"note-98765", b"x", 1, -3) >= 0 else "refused" """,
    "opens inherited files": """
import os
found = []
for fd in range(3, 64):
    try: found.append(os.readlink(f"/dev/fd/{fd}"))
    except OSError: pass
result = "STOLEN" if any("/" in f and "socket" not in f for f in found) else "nothing" """,
}

RESOURCES = {
    "10 GB of numbers": """
def gae_recursion(*a): return np.ones(10**10 // 8)
try: np.ones(10**10 // 8); result = "ALLOCATED"
except MemoryError as error: result = repr(error)[:60]""",
    "10 GB of bytes": """
try: block = bytearray(10**10); result = "ALLOCATED"
except MemoryError: result = "MemoryError" """,
    "a list without end": """
def gae_recursion(*a):
    x = []
    while True: x.append(bytearray(10**7))
result = "made" """,
    "a fork bomb": """
import os
made = 0
try:
    for _ in range(500):
        if os.fork() == 0: os.execv("/usr/bin/sleep", ["sleep", "98765"])
        made += 1
except OSError: pass
result = f"forked {made}" if made < 100 else "UNLIMITED" """,
    "a fork bomb of forks": """
import os
def gae_recursion(*a):
    while True: os.fork()
result = "made" """,
    "30 processes of 500 MB each": """
import os, time
def gae_recursion(*a):
    for _ in range(30):
        try: child = os.fork()
        except OSError: break
        if child == 0:
            block = b"x" * (500 << 20)
            time.sleep(3600)
    time.sleep(3600)
result = "made" """,
    "memory that no process maps": """
import ctypes, mmap, os
libc, held = ctypes.CDLL(None, use_errno=True), []
for name, make in (("memfd", lambda: os.memfd_create("x")), ("segment", lambda: 1 + libc.shmget(0, 10**8, 0o1600)),
                   ("shared", lambda: mmap.mmap(-1, 10**8)),
                   ("zero", lambda: mmap.mmap(os.open("/dev/zero", os.O_RDWR), 10**8))):
    try: held += [name.upper()] if make() else []
    except (OSError, ValueError): pass
result = str(held)""",
    "a thread bomb": """
import threading, time
made = 0
try:
    for _ in range(500):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        made += 1
except RuntimeError: pass
result = f"threads {made}" if made < 100 else "UNLIMITED" """,
    "a process left behind": """
import subprocess
subprocess.Popen(["sleep", "98765"], start_new_session=True)
result = "left" """,
    "a daemon left behind": """
import os, ctypes
if os.fork() == 0:
    os.setsid()
    ctypes.CDLL(None).prctl(1, 0)
    if os.fork() == 0: os.execv("/usr/bin/sleep", ["sleep", "98765"])
    os._exit(0)
result = "left" """,
    "a loop in a cell": "while True: pass",
    "a loop that ignores signals": """
import signal
for s in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
def gae_recursion(*a):
    while True: pass
result = "made" """,
    "a loop that swallows exceptions": """
def gae_recursion(*a):
    while True:
        try:
            while True: pass
        except BaseException: pass
result = "made" """,
    "a sleep in every function": """
import time
def gae_recursion(*a): time.sleep(3600)
lambda_return = mixture_weights = constant_error_bias = gae_recursion
result = "made" """,
    "a loop in C": "def gae_recursion(*a): return pow(7, 10**9)\nresult = 'made'",
    "stops itself": """
import os, signal
def gae_recursion(*a): os.kill(os.getpid(), signal.SIGSTOP)
result = "made" """,
    "os._exit in a cell": "import os; os._exit(0)",
    "os._exit in a function": "import os\ndef gae_recursion(*a): os._exit(0)\nresult = 'made'",
    "sys.exit in a cell": "result = 'made'\nimport sys; sys.exit(1)",
    "kills its parent": """
import os
def gae_recursion(*a): os.kill(os.getppid(), 9)
result = "made" """,
    "kills everybody": "import os\ndef gae_recursion(*a): os.kill(-1, 9)\nresult = 'made'",
    "kills its group": "import os\ndef gae_recursion(*a): os.kill(0, 9)\nresult = 'made'",
    "kills every number": """
import os
def gae_recursion(*a):
    for pid in range(1, 5000):
        if pid != os.getpid():
            try: os.kill(pid, 9)
            except OSError: pass
    return "survived"
result = "made" """,
    "crashes in C": "import ctypes\ndef gae_recursion(*a): ctypes.string_at(0)\nresult = 'made'",
    "runs out of stack": "def gae_recursion(*a): return gae_recursion(*a)\nresult = 'made'",
    "runs out of stack in C": """
import sys
sys.setrecursionlimit(10**8)
def gae_recursion(*a): return gae_recursion(*a)
result = "made" """,
    "100 MB of output": "for _ in range(100): print('x' * 10**6)\nresult = 'printed'",
    "100 MB to the descriptor": "import os\nfor _ in range(100): os.write(1, b'x' * 10**6)\nresult = 'printed'",
    "raises its limits": """
import resource
try:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    result = "RAISED"
except (ValueError, OSError) as error: result = repr(error)""",
    "never ends at exit": """
import atexit, threading, time
atexit.register(time.sleep, 3600)
class Stay:
    def __del__(self): time.sleep(3600)
stay = Stay()
result = "made" """,
}

OUTSIDE = {
    "writes to the home folder": """
try: open("{home}/written", "w"); result = "WRITTEN"
except OSError as error: result = repr(error)""",
    "writes to its own home": """
import os
open(os.path.expanduser("~/written-98765"), "w").write("x")
result = "a private home" """,
    "writes to the shared folder": """
try: open("{shared}/written", "w"); result = "WRITTEN"
except OSError as error: result = repr(error)""",
    "writes to /tmp": "open('/tmp/written-98765', 'w').write('x')\nresult = 'private'",
    "writes to /dev/shm": "open('/dev/shm/written-98765', 'w').write('x')\nresult = 'private'",
    "writes to the course": """
try: open("{course}/written", "w"); result = "WRITTEN"
except OSError as error: result = repr(error)""",
    "writes to its package": """
import coursekit, os
try: open(os.path.dirname(coursekit.__path__[0]) + "/written", "w"); result = "WRITTEN"
except OSError as error: result = repr(error)""",
    "writes to the root and to /dev": """
said = []
for path in ("/written", "/dev/written", "/usr/written", "/etc/written"):
    try: open(path, "w"); said.append("WRITTEN")
    except OSError: pass
result = str(said)""",
    "removes everything": """
import shutil
for place in ("/coursekit", "/tmp", "{home}", "{course}", "{shared}", "/dev/shm"):
    shutil.rmtree(place, ignore_errors=True)
result = "removed" """,
    "changes modes": """
import coursekit, os
said = []
for path in (coursekit.__file__, os.path.dirname(coursekit.__path__[0]), "{home}", "{course}", os.environ["HOME"]):
    try: os.chmod(path, os.stat(path).st_mode & 0o7777); said.append("CHANGED " + path)
    except OSError as error: said.append(error.errno)
result = str(said)""",
    "changes times": """
import coursekit, os
said = []
for path in (coursekit.__file__, "{home}", "{course}", os.environ["HOME"], "/dev/null"):
    try: os.utime(path); said.append("CHANGED " + path)
    except OSError as error: said.append(error.errno)
result = str(said)""",
    "changes owners": """
import coursekit, os
said = []
for path in (coursekit.__file__, "{home}", "{course}", os.environ["HOME"], "/dev/null"):
    try: os.chown(path, os.getuid(), os.getgid()); said.append("CHANGED " + path)
    except OSError as error: said.append(error.errno)
result = str(said)""",
    "changes flags of files": """
import coursekit, fcntl, os, struct
said = []
for path in (coursekit.__file__, os.environ["HOME"]):
    try:
        flags = fcntl.ioctl(os.open(path, os.O_RDONLY), 0x80086601, bytes(8))
        fcntl.ioctl(os.open(path, os.O_RDONLY), 0x40086602, flags)
        said.append("CHANGED " + path)
    except OSError as error: said.append(error.errno)
result = str(said)""",
    "closes the package for the next": """
import coursekit, os
if coursekit.__file__.startswith(("/tmp", "/coursekit")):
    try:
        os.chmod(os.path.dirname(coursekit.__path__[0]), 0)
        os._exit(0)
    except OSError as error: result = repr(error)
else: result = "STOLEN" """,
    "leads the next to another package": """
import coursekit, os, sys
said = []
root = os.path.dirname(coursekit.__path__[0])
for act in (lambda: os.rename(root, root + "-98765"), lambda: os.rename(coursekit.__path__[0], root + "/98765"),
            lambda: os.mkdir(root + "/numpy")):
    try: act(); said.append("WRITTEN")
    except OSError as error: said.append(error.errno)
result = str(said)""",
    "fills /tmp": """
try:
    for k in range(100): open(f"/tmp/{k}", "wb").write(b"x" * 5_000_000)
    result = "FILLED"
except OSError as error: result = repr(error)""",
    "a file of 200 MB": """
try: open("/tmp/big", "wb").write(b"x" * 200_000_000); result = "FILLED"
except OSError as error: result = repr(error)""",
    "connects to this machine": """
import socket
try: socket.create_connection(("127.0.0.1", {port}), 1); result = "CONNECTED"
except OSError as error: result = repr(error)""",
    "connects to the world": """
import socket
try: socket.create_connection(("1.1.1.1", 53), 1); result = "CONNECTED"
except OSError as error: result = repr(error)""",
    "sends a datagram": """
import socket
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", {port}))
    result = "sent, to itself"
except OSError as error: result = repr(error)""",
    "an abstract socket": """
import socket
try: socket.socket(socket.AF_UNIX).connect("\\0{socket}"); result = "CONNECTED"
except OSError as error: result = repr(error)""",
    "leaves namespaces": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
said = [libc.umount2(b"/proc", 2), libc.mount(b"proc", b"/proc", b"proc", 0, None), libc.chroot(b".")]
result = "ESCAPED" if 0 in said else "refused" """,
    "makes namespaces of its own": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
made = libc.unshare(0x10000000 | 0x20000)
said = [libc.umount2(b"/proc", 2), libc.umount2(b"/tmp", 2)] if made == 0 else [-1]
result = "ESCAPED" if 0 in said and any(p.isdigit() for p in os.listdir("/proc")) else "refused" """,
    "traces the server": """
import ctypes, os
said = [ctypes.CDLL(None).ptrace(16, pid, 0, 0) for pid in range(1, 50) if pid != os.getpid()]
result = "TRACED" if 0 in said else "refused" """,
    "becomes root": """
import os
try: os.setuid(0); result = "ROOT"
except OSError as error: result = repr(error)""",
}

CHANNEL = {
    "writes noise into the channel": """
import os
def gae_recursion(*a):
    for fd in range(3, 64):
        try: os.write(fd, b"x" * 1000)
        except OSError: pass
result = "made" """,
    "announces 4 GB": """
import os
def gae_recursion(*a):
    for fd in range(3, 64):
        try: os.write(fd, b"\\xff" * 8)
        except OSError: pass
result = "made" """,
    "floods the channel": """
import os
def gae_recursion(*a):
    while True:
        for fd in range(3, 64):
            try: os.write(fd, b"\\0\\0\\0\\2\\0\\0\\0\\0{}" * 1000)
            except OSError: pass
result = "made" """,
    "answers in advance": """
from coursekit.autograder import wire
def gae_recursion(r, *a):
    for fd in range(3, 64):
        try:
            for k in range(200): wire.send(wire.Channel(fd, fd), dict(id=k, value=np.zeros(5)))
        except OSError: continue
    return np.zeros(len(r))
result = "made" """,
    "closes the channel": "import os\ndef gae_recursion(*a): os.closerange(3, 64)\nresult = 'made'",
    "stops listening": """
import os, time
def gae_recursion(*a):
    if os.fork(): time.sleep(3600)
result = "made" """,
    "two answers from two processes": """
import os
def gae_recursion(r, *a):
    os.fork()
    return np.zeros(len(r))
result = "made" """,
    "arrays that ask for the same bytes": """
from coursekit.autograder import wire
import json, struct
def send(s, m):
    text = json.dumps(dict(id=m["id"], value={"list": [{"array": ["<f8", [500000], 0]}] * 15000})).encode()
    s.write(struct.pack(">II", len(text), 4000000) + text + bytes(4000000))
real = wire.send
wire.send = lambda s, m: send(s, m) if "value" in m and isinstance(m["value"], dict) else real(s, m)
def gae_recursion(*a): return {}
result = "made" """,
    "an array that lies": """
from coursekit.autograder import wire
import json, struct
def send(s, m):
    text = json.dumps(dict(id=m["id"], value={"array": ["|O", [10**12, -1], 0]})).encode()
    s.write(struct.pack(">II", len(text), 8) + text + bytes(8))
real = wire.send
wire.send = lambda s, m: send(s, m) if "value" in m and isinstance(m["value"], dict) else real(s, m)
def gae_recursion(*a): return {}
result = "made" """,
    "JSON 200,000 deep in the channel": """
from coursekit.autograder import wire
import struct
def send(s, m):
    text = b"[" * 200000
    s.write(struct.pack(">II", len(text), 0) + text)
real = wire.send
wire.send = lambda s, m: send(s, m) if "value" in m and isinstance(m["value"], dict) else real(s, m)
def gae_recursion(*a): return {}
result = "made" """,
    "an error that no file can hold": """
from coursekit.autograder import wire
real = wire.send
wire.send = lambda s, m: real(s, {**m, "error": "\\ud800"} if "error" in m else m)
def gae_recursion(*a): raise ValueError
result = "made" """,
    "an error that is no text": """
from coursekit.autograder import wire
real = wire.send
wire.send = lambda s, m: real(s, {**m, "error": [np.zeros(3)]} if "error" in m else m)
def gae_recursion(*a): raise ValueError
result = "made" """,
    "a number of a question that is an array": """
from coursekit.autograder import wire
real = wire.send
def gae_recursion(*a):
    wire.send = lambda s, m: real(s, {**m, "id": np.full(2, m["id"])})
result = "made" """,
    "a list that holds itself": "x = []; x += [x] * 1000\ndef gae_recursion(*a): return x\nresult = 'made'",
    "a text of 100 MB": "long = 'x' * 10**8\ndef gae_recursion(*a): return long\nresult = 'made'",
    "an error of 100 MB": "long = 'x' * 10**8\ndef gae_recursion(*a): raise ValueError(long)\nresult = 'made'",
    "a number of a million digits": "long = 10**10**6\ndef gae_recursion(*a): return long\nresult = 'made'",
    "an array of 100 MB": "def gae_recursion(*a): return np.zeros(10**7)\nresult = 'made'",
    "a repr that never ends": """
class Slow:
    def __repr__(self):
        while True: pass
def gae_recursion(*a): return Slow()
result = "made" """,
    "a script in an error": """
def gae_recursion(*a): raise ValueError("<script>alert(98765)</script>")
result = "<script>alert(98765)</script>" """,
}

KERNEL = {  # what the kernel keeps for a process and no limit counts, and other ways around the limits
    "a descriptor that blocks whoever closes it": """
import socket, struct
def gae_recursion(*a):
    server = socket.create_server(("127.0.0.1", 0))
    slow = socket.create_connection(server.getsockname())
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    slow.setblocking(False)
    try:
        while True: slow.send(b"x" * 10**6)
    except BlockingIOError: pass
    for fd in range(3, 64):
        try: socket.send_fds(socket.socket(fileno=fd), [b"x"], [slow.fileno()])
        except OSError: pass
    import os
    os.close(slow.detach())
    server.close()
    return 0.0
result = "made" """,
    "semaphores": """
import ctypes
libc, made = ctypes.CDLL(None), 0
while made < 100 and libc.semget(0, 32000, 0o1600) >= 0: made += 1
result = "SEMAPHORES" if made else "refused" """,
    "messages": """
import ctypes
libc, text = ctypes.CDLL(None), ctypes.create_string_buffer(8008)
text[0] = 1
queues = [q for q in (libc.msgget(0, 0o1600) for _ in range(200)) if q >= 0]
sent = sum(libc.msgsnd(q, text, 8000, 0o4000) == 0 for q in queues for _ in range(2))
result = "MESSAGES" if queues else "refused" """,
    "a message for the next one": """
import ctypes
result = "NOTED" if ctypes.CDLL(None).msgget(98765, 0o1666) >= 0 else "refused" """,
    "a queue of messages": """
import ctypes
made = ctypes.CDLL(None).mq_open(b"/c98765", 0o102, 0o600, None)
result = "QUEUE" if made >= 0 else "refused" """,
    "pages that only a pipe holds": """
import ctypes, mmap, os
libc, (out, into) = ctypes.CDLL(None), os.pipe()
page = ctypes.create_string_buffer(b"x" * 4096)
vector = (ctypes.c_size_t * 2)(ctypes.addressof(page), 4096)
result = "SPLICED" if libc.vmsplice(into, vector, 1, 0) > 0 else "refused" """,
    "buffers of sockets": """
import socket
held, size = [], 0
try:
    server = socket.create_server(("127.0.0.1", 0))
    while len(held) < 100:
        one = socket.create_connection(server.getsockname())
        one.setblocking(False)
        held += [one, server.accept()[0]]
        try:
            while True: size += one.send(b"x" * 10**6)
        except BlockingIOError: pass
except OSError: pass
result = "BUFFERS" if size > 50_000_000 else f"{size // 10**6} million bytes" """,
    "buffers of pairs": """
import socket
held, size = [], 0
try:
    while True:
        held.append(socket.socketpair())
        for one in held[-1]:
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
            try:
                while True: size += one.send(b"x" * 10**5)
            except BlockingIOError: pass
except OSError: pass
result = "BUFFERS" if size > 50_000_000 else f"{size // 10**6} million bytes" """,
    "sockets inside of sockets": """
import socket
a, b = socket.socketpair()
sent = 0
try:
    while sent < 500:
        c = socket.socketpair()
        socket.send_fds(a, [b"x"], [c[0].fileno(), c[1].fileno()])
        sent += 1
except OSError: pass
result = "NESTED" if sent else "refused" """,
    "locks": """
import fcntl, os, struct
file = open(os.path.expanduser("~/locked"), "w+")
made = 0
try:
    for k in range(2000):
        fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqi4x", 1, 0, 2 * k, 1, 0))
        made += 1
    held = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack("hhqqi4x", 1, 0, 0, 1, 0))
except OSError: pass
if os.fork() == 0:
    kind = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, struct.pack("hhqqi4x", 1, 0, 0, 1, 0)))[0]
    os._exit(int(kind != fcntl.F_UNLCK))
result = "LOCKED" if os.wait()[1] else "nothing is locked" """,
    "files without end": """
import os
made = 0
try:
    for made in range(100_000): open(os.path.expanduser(f"~/file-{made}"), "w").close()
except OSError: pass
result = "INODES" if made > 20_000 else f"{made} files" """,
    "a folder of memory": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
made, place = libc.unshare(0x10000000 | 0x20000) == 0, os.path.expanduser("~/more")
os.makedirs(place, exist_ok=True)
result = "MOUNTED" if made and libc.mount(b"x", place.encode(), b"tmpfs", 0, None) == 0 else "refused" """,
    "files of process 1": """
import glob, os
found = []
for path in glob.glob("/proc/1/fd/*") + glob.glob("/proc/1/root/*"):
    try: found += [os.readlink(path)] if "/fd/" in path else [path]
    except OSError: pass
result = "OPEN" if found else "nothing" """,
    "limits of the grader": """
import os, resource
found = []
for pid in {os.getppid(), 1} - {os.getpid(), 0}:
    try: found.append(resource.prlimit(pid, resource.RLIMIT_CORE))
    except OSError: pass
result = "LIMITS" if found else "refused" """,
    "priority over others": """
import ctypes, os
try:
    before = os.getpriority(os.PRIO_PROCESS, os.getppid()) if os.getppid() else 0
    ctypes.CDLL(None).setpriority(2, 0, 19)
    after = os.getpriority(os.PRIO_PROCESS, os.getppid()) if os.getppid() else 0
    result = "RENICED" if after != before else "nothing"
except OSError as error: result = repr(error)""",
    "asks about the grader": """
import os
said = []
for ask in (lambda: os.pidfd_open(os.getppid() or 1), lambda: os.getpriority(os.PRIO_PROCESS, os.getppid() or 1)):
    try: ask(); said.append("ANSWERED")
    except OSError as error: said.append(error.errno)
result = str(said)""",
    "a dozen that take the processor": """
import os
for _ in range(12):
    if os.fork() == 0:
        os.setsid()
        while True: pass
result = "made" """,
    "an error that drives the terminal": """
def gae_recursion(*a): raise ValueError("\\x1b]52;c;bWFya2Vy\\x07 \\x1b[2J \\x9b31m \\u202e \\u2066 \\x00 end")
def lambda_return(*a): return "\\x1b]0;owned\\x07\\u202eabc\\x00"
result = "made" """,
    "a name that drives the terminal": """
def constant_error_bias(*a): raise type("\\x1b[31mError\\u202e", (Exception,), {})("\\x07")
result = "made" """,
}

CODE = {**FORGED, **STOLEN, **RESOURCES, **OUTSIDE, **CHANNEL, **KERNEL}
DEAD = {"a loop in a cell", "os._exit in a cell"}  # the cell ends its process: it can tell nothing

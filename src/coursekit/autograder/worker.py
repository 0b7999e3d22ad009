"""Inside the sandbox: run a learner's cells and call the functions they define. Knows no case and no answer.

One program in two roles. A fresh sandbox serves one submission on the socket it was given. A fork server
imports what the chapter needs once and then forks a child for every submission: each has its own user, pid,
mount, ipc and network namespaces, its own /tmp, and no /proc.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import select
import shutil
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

import coursekit
from coursekit.autograder import confine, wire
from coursekit.autograder.outcome import describe, from_stub, settled

# The kernel's names: linux/sched.h, linux/prctl.h, linux/capability.h, sys/mount.h
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x8000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 24, 38
LINUX_CAPABILITY_VERSION_3 = 0x20080522
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8


def main(descriptor: int) -> None:
    """Read the settings, get ready, and serve until the grader closes the socket."""
    control = socket.socket(fileno=descriptor)
    settings = wire.receive(control)
    if settings["guard"] and os.fork():  # the outer process is what the grader knows, and outlives no grader
        control.close()
        sys.stdin.buffer.read()
        os.killpg(0, signal.SIGKILL)
    if settings["uid"]:  # root would be above the limit on processes
        os.setgroups([])
        os.setresgid(*[settings["uid"]] * 3)
        os.setresuid(*[settings["uid"]] * 3)
        confine.call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)
    confine.call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    fonts = os.path.join(os.path.dirname(coursekit.__path__[0]), "fonts")
    if os.path.isdir(fonts):  # matplotlib would look for fonts again, for a second
        shutil.copytree(fonts, os.environ["MPLCONFIGDIR"])
    for module in settings["preload"]:
        importlib.import_module(module)
    wire.send(control, {"ready": True})
    if settings["forks"]:
        gc.freeze()
        serve_forks(control, settings)
    else:
        limit(settings)
        silence()
        serve(control)


def serve(sock: socket.socket) -> NoReturn:
    """Answer the grader's requests: {"cell": source, "name"} and {"function", "inputs"}."""
    names = {"__name__": "__main__", "__builtins__": __builtins__, "display": _nothing, "get_ipython": _nothing}
    while True:
        try:
            request = wire.receive(sock, tensors=True)
        except EOFError:
            os._exit(0)
        reply = run_cell(request, names) if "cell" in request else call(request, names)
        try:
            wire.send(sock, reply | {"id": request["id"]})
        except OSError:
            os._exit(0)
        except BaseException as error:  # the value raises when it is read
            unread = f"{type(reply.get('value')).__name__} that can't be read: {describe(error)}"
            wire.send(sock, {"value": wire.Opaque(unread), "id": request["id"]})


def run_cell(request: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """Execute a cell; what it prints goes nowhere. Returns {"error": text or None}."""
    source = request["cell"]
    try:
        try:
            code = compile(source, f"<ipython cell {request['name']}>", "exec")
        except SyntaxError:  # magics: %matplotlib inline, !pip install
            lines = [("pass" if line.lstrip()[:1] in ("%", "!") else line) for line in source.split("\n")]
            code = compile("\n".join(lines), f"<ipython cell {request['name']}>", "exec")
        exec(code, names)
    except SyntaxError as error:
        return {"error": f"{type(error).__name__}: {error.msg} (line {error.lineno})"}
    except BaseException as error:
        return {"error": describe(error)}
    return {"error": None}


def call(request: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """Call a function by its name. Returns {"value"} or {"error", "not_attempted"} or {"missing"}."""
    function = names.get(request["function"])
    if not callable(function):
        return {"missing": True}
    try:
        return {"value": settled(function(*request["inputs"]))}
    except BaseException as error:
        return {"error": describe(error), "not_attempted": from_stub(error, function)}


def limit(settings: dict[str, Any]) -> None:
    """The limits of one submission: paths and system calls, address space, file size, processes and threads,
    open files, no core dumps."""
    import resource  # Linux and macOS have it

    if settings["places"]:
        confine.keep_to(settings["places"])
    if settings["forbid"]:
        confine.forbid(settings["forbid"])
    for kind, most in ((resource.RLIMIT_AS, settings["memory"]), (resource.RLIMIT_FSIZE, settings["file"]),
                       (resource.RLIMIT_NPROC, settings["processes"]), (resource.RLIMIT_NOFILE, settings["files"]),
                       (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (most, most))


def silence() -> None:
    """From here on nothing that is printed goes anywhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def serve_forks(control: socket.socket, settings: dict[str, Any]) -> None:
    """For each socket that arrives fork a child that serves it; end it when the grader says so."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            return
        child = _spawn(descriptors[0], control, settings)
        os.close(descriptors[0])
        control.send(b"+" if child is not None else b"-")
        if child is not None:
            control.recv(1)
            try:
                signal.pidfd_send_signal(child, signal.SIGKILL)  # pid 1 of its namespace: all of it dies
            except ProcessLookupError:
                pass
            select.select([child], [], [])
            os.close(child)
            control.send(b".")


def _spawn(descriptor: int, control: socket.socket, settings: dict[str, Any]) -> int | None:
    """Fork a child in namespaces of its own; returns a pidfd, or None where that is forbidden."""
    reader, writer = os.pipe()
    middle = os.fork()  # a process enters a new pid namespace only through its children
    if middle == 0:
        try:
            os.close(reader)
            os.setsid()  # else a child's kill(0, 9) would reach the server
            _unshare()
            inner = os.fork()
            if inner == 0:
                _enclose(descriptor, control, writer, settings)
            os.write(writer, str(inner).encode())
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 20)
    child = os.pidfd_open(int(said)) if said else None
    os.close(reader)
    os.waitpid(middle, 0)
    return child


def _unshare() -> None:
    uid, gid = os.getuid(), os.getgid()
    confine.call("unshare", CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET)
    for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _enclose(descriptor: int, control: socket.socket, writer: int, settings: dict[str, Any]) -> NoReturn:
    """In the child: private folders, no way back, limits; then serve."""
    try:
        for folder in (b"/tmp", b"/dev/shm", b"/proc"):
            flags, size = MS_NOSUID | MS_NODEV | MS_NOEXEC, f"size={settings['tmp']}".encode()
            confine.call("mount", b"tmpfs", folder, b"tmpfs", flags, size)
        os.chdir("/tmp")
        for capability in range(64):
            confine.LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        header, data = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
        confine.call("capset", header, data)
        os.close(control.detach())
        os.close(writer)
        limit(settings)
        silence()
        serve(socket.socket(fileno=descriptor))
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _nothing(*arguments: Any, **named: Any) -> None:
    """Stands in for what only a notebook has."""


if __name__ == "__main__":
    main(int(sys.argv[1]))

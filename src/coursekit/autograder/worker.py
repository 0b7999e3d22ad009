"""Inside the sandbox: run a learner's cells and call the functions they define. Knows no case and no answer.

One program in two roles. A fresh sandbox serves one submission on the pipes it was given. A fork server
imports what the chapter needs once and then forks a child for every submission: each has its own user, pid,
mount, ipc and network namespaces. Either way a submission has its own /tmp, no /proc, no privilege, and the system
calls that confine.py allows.
"""

from __future__ import annotations

import contextlib
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
from coursekit.autograder.kernel import Notebook
from coursekit.autograder.outcome import describe

# The kernel's names: linux/sched.h, linux/prctl.h, linux/capability.h, sys/mount.h
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x8000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 8, 24, 38
LINUX_CAPABILITY_VERSION_3, CAP_SETPCAP, CAP_SYS_ADMIN = 0x20080522, 8, 21
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8


def main(source: int, sink: int, control: int = -1) -> None:
    """Read the settings, get ready, and serve until the grader is gone. control: of a fork server."""
    channel = wire.Channel(source, sink)
    settings = wire.receive(channel)
    if settings["guard"] and os.fork():  # the outer process is what the grader knows, and outlives no grader
        channel.close()
        sys.stdin.buffer.read()
        os.killpg(0, signal.SIGKILL)
    if settings["uid"]:  # root would be above the limit on processes
        confine.call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(*[settings["uid"]] * 3)
        os.setresuid(*[settings["uid"]] * 3)
        confine.call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)
        if settings["mounts"]:
            _keep_capabilities(CAP_SETPCAP, CAP_SYS_ADMIN)
    confine.call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if settings["mounts"]:
        confine.call("unshare", CLONE_NEWNS)
        _mount(settings, "/tmp", "/dev/shm")
    fonts = os.path.join(os.path.dirname(coursekit.__path__[0]), "fonts")
    if os.path.isdir(fonts):  # matplotlib would look for fonts again, for a second
        shutil.copytree(fonts, os.environ["MPLCONFIGDIR"])
    for module in settings["preload"]:
        importlib.import_module(module)
    wire.send(channel, {"ready": True})
    if control >= 0:
        channel.close()
        gc.freeze()
        serve_forks(socket.socket(fileno=control), settings)
    else:
        if settings["mounts"]:
            _mount(settings, "/proc")
            _drop_capabilities()
        os.chdir(os.environ["HOME"])
        limit(settings)
        silence()
        serve(channel)


def serve(channel: wire.Channel) -> NoReturn:
    """Answer the grader's requests: {"cell": source, "name", "keep"} and {"function", "exercise", "inputs"}."""
    notebook = Notebook()
    while True:
        try:
            request = wire.receive(channel, tensors=True)
        except EOFError:
            os._exit(0)
        reply = notebook.run_cell(**_named(request, "cell", "name", "keep")) if "cell" in request else (
            notebook.call(**_named(request, "function", "exercise", "inputs")))
        try:
            wire.send(channel, reply | {"id": request["id"]})
        except OSError:
            os._exit(0)
        except BaseException as error:  # the value raises when it is read
            unread = f"{type(reply.get('value')).__name__} that can't be read: {describe(error)}"
            wire.send(channel, {"value": wire.Opaque(unread), "id": request["id"]})


def _named(request: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: request[name] for name in names if name in request}


def limit(settings: dict[str, Any]) -> None:
    """The limits of one submission: address space, file size, processes and threads, open files, no core dumps, no
    queues; paths and system calls."""
    import resource  # Linux and macOS have it

    for kind, most in ((resource.RLIMIT_AS, settings["memory"]), (resource.RLIMIT_FSIZE, settings["file"]),
                       (resource.RLIMIT_NPROC, settings["processes"]), (resource.RLIMIT_NOFILE, settings["files"]),
                       (resource.RLIMIT_CORE, 0), (resource.RLIMIT_MSGQUEUE, 0)):
        resource.setrlimit(kind, (most, most))
    if settings["places"]:
        confine.keep_to(settings["places"])
    if settings["calls"]:
        confine.keep_to_calls()


def silence() -> None:
    """From here on nothing that is printed goes anywhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def serve_forks(control: socket.socket, settings: dict[str, Any]) -> None:
    """For each two pipes that arrive fork a child that serves them; end it when the grader says so."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 1, 2)
        if not data:
            return
        child = _spawn(descriptors, control, settings)
        for descriptor in descriptors:
            os.close(descriptor)
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
        with contextlib.suppress(ChildProcessError):  # process 1 inherits the dead
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _spawn(descriptors: list[int], control: socket.socket, settings: dict[str, Any]) -> int | None:
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
                _enclose(descriptors, control, writer, settings)
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


def _enclose(descriptors: list[int], control: socket.socket, writer: int, settings: dict[str, Any]) -> NoReturn:
    """In the child: private folders, no way back, limits; then serve."""
    try:
        _mount(settings, "/tmp", "/dev/shm", "/proc")
        _drop_capabilities()
        os.close(control.detach())
        os.close(writer)
        limit(settings)
        silence()
        serve(wire.Channel(*descriptors))
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _mount(settings: dict[str, Any], *folders: str) -> None:
    """Empty, private folders of a limited size over these."""
    for folder in folders:
        options = f"size={settings['tmp']},nr_inodes={settings['inodes']},mode=1777"
        confine.call("mount", b"tmpfs", folder.encode(), b"tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                     options.encode())
    os.chdir("/tmp")


def _keep_capabilities(*kept: int) -> None:
    header, data = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    data[0] = data[1] = sum(1 << capability for capability in kept)  # effective, permitted
    confine.call("capset", header, data)


def _drop_capabilities() -> None:
    for capability in range(64):
        confine.LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    _keep_capabilities()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

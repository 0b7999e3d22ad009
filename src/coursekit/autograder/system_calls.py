"""The system calls that a submission may use: a name, its number on x86_64, and on aarch64. All others fail.

Numbers from linux/arch/x86/entry/syscalls/syscall_64.tbl and linux/include/uapi/asm-generic/unistd.h; "-": there is
no such call. What is not here on purpose: whatever makes memory or files that no limit counts (memfd_create, the
segments, semaphores and queues of System V and POSIX, vmsplice, io_uring, keys), sockets other than pairs and what
sends descriptors through them, namespaces and mounts, every way into another process (ptrace, process_vm_*,
pidfd_open), and what changes a file's mode, owner, times, attributes or flags: Landlock does not limit these calls,
and the grader's own files may belong to the user that a submission runs as.
"""

ALLOWED = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70,
preadv2 327 286, pwritev2 328 287, open 2 -, openat 257 56, openat2 437 437, creat 85 -, close 3 57,
close_range 436 436, lseek 8 62, stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79, statx 332 291,
statfs 137 43, fstatfs 138 44, access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -,
readlinkat 267 78, getdents 78 -, getdents64 217 61, getcwd 79 17, chdir 80 49, fchdir 81 50, dup 32 23,
dup2 33 -, dup3 292 24, pipe 22 -, pipe2 293 59, poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72,
fsync 74 82, fdatasync 75 83, sync_file_range 277 84, truncate 76 45, ftruncate 77 46,
fallocate 285 47, fadvise64 221 223, readahead 187 213, rename 82 -, renameat 264 38, renameat2 316 276,
rmdir 84 -, link 86 -, linkat 265 37, unlink 87 -, unlinkat 263 35, symlink 88 -,
symlinkat 266 36, getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10, listxattr 194 11,
llistxattr 195 12, flistxattr 196 13, copy_file_range 326 285,
epoll_create 213 -, epoll_create1 291 20, epoll_ctl 233 21, epoll_wait 232 -, epoll_pwait 281 22,
epoll_pwait2 441 441, eventfd 284 -, eventfd2 290 19, timerfd_create 283 85, timerfd_settime 286 86,
timerfd_gettime 287 87, socketpair 53 199, sendto 44 206, recvfrom 45 207, recvmsg 47 212, shutdown 48 210,
getsockname 51 204, getpeername 52 205, getsockopt 55 209,
brk 12 214, munmap 11 215, mremap 25 216, mprotect 10 226, madvise 28 233, mincore 27 232, msync 26 227,
mlock 149 228, munlock 150 229, get_mempolicy 239 236, mbind 237 235, set_mempolicy 238 237, membarrier 324 283,
pkey_alloc 330 289, pkey_free 331 290, pkey_mprotect 329 288,
fork 57 -, vfork 58 -, execve 59 221, execveat 322 281, exit 60 93, exit_group 231 94, wait4 61 260,
waitid 247 95, kill 62 129, tkill 200 130, tgkill 234 131, pidfd_send_signal 424 424,
set_tid_address 218 96, set_robust_list 273 99, get_robust_list 274 100, futex 202 98, futex_waitv 449 449,
rseq 334 293, arch_prctl 158 -, prctl 157 167, getpid 39 172, getppid 110 173, gettid 186 178, getpgid 121 155,
getpgrp 111 -, getsid 124 156, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177,
getresuid 118 148, getresgid 120 150, getgroups 115 158, capget 125 90, getrlimit 97 163,
getrusage 98 165, times 100 153, sysinfo 99 179, uname 63 160, getcpu 309 168, getrandom 318 278,
restart_syscall 219 128,
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigtimedwait 128 137,
rt_sigsuspend 130 133, sigaltstack 131 132, pause 34 -, alarm 37 -, getitimer 36 102, setitimer 38 103,
time 201 -, gettimeofday 96 169, clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115,
nanosleep 35 101,
sched_yield 24 124, sched_getaffinity 204 123, sched_getparam 143 121, sched_getscheduler 145 120,
sched_get_priority_max 146 125, sched_get_priority_min 147 126, sched_rr_get_interval 148 127,
sched_getattr 315 275
"""
LIMITED = """
mmap 9 222, clone 56 220, fcntl 72 25, prlimit64 302 261, ioctl 16 29, getpriority 140 141,
mkdir 83 -, mkdirat 258 34
"""  # with some arguments only; see confine.py
PRETENDED = """
setpgid 109 154, setsid 112 157, setpriority 141 140, sched_setaffinity 203 122, umask 95 166
"""  # do nothing and succeed, so that honest code goes on


def numbers(text: str, machine: str) -> dict[str, int]:
    """{name: number} on a machine, "x86_64" or "aarch64"."""
    found = {}
    for call in text.replace("\n", " ").strip().split(", "):
        name, on_x86_64, on_aarch64 = call.split()
        found[name] = {"x86_64": on_x86_64, "aarch64": on_aarch64}[machine]
    return {name: int(number) for name, number in found.items() if number != "-"}

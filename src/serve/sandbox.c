/* SPDX-License-Identifier: MIT */
/*
 * The list is what brim and its libraries (glibc, libh2o, libcurl, LMDB, OpenSSL, libsystemd) call
 * while they serve, reload, resolve names, write the cache and end. Grouped by what it is for, so
 * that a line can be questioned. A name that this kernel or libseccomp does not know is passed
 * over.
 */
#include "brim/serve/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "brim/base/log.h"

static const char *const allowed[] = {
    /* bytes */
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev",
    "pwritev2", "sendfile", "lseek", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "pipe",
    "pipe2",
    /* files: cache, logs, certificates and handlers that a reload reads */
    "open", "openat", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs",
    "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd", "mkdir",
    "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "ftruncate",
    "fallocate", "fadvise64", "fsync", "fdatasync", "sync_file_range", "flock", "umask", "fchmod",
    "chmod",
    /* memory */
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "msync", "mincore", "memfd_create",
    "membarrier",
    /* sockets */
    "socket", "socketpair", "bind", "listen", "connect", "accept", "accept4", "shutdown",
    "getsockname", "getpeername", "setsockopt", "getsockopt", "sendto", "recvfrom", "sendmsg",
    "recvmsg", "sendmmsg", "recvmmsg", "ioctl",
    /* waiting */
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    "eventfd2", "timerfd_create", "timerfd_settime", "poll", "ppoll", "select", "pselect6", "futex",
    "futex_waitv", "nanosleep", "clock_nanosleep", "restart_syscall", "sched_yield",
    /* time */
    "clock_gettime", "clock_getres", "gettimeofday", "time", "times",
    /* threads; no other process */
    "clone", "clone3", "set_robust_list", "get_robust_list", "rseq", "set_tid_address",
    "arch_prctl", "exit", "exit_group", "gettid", "sched_getaffinity", "sched_setaffinity",
    "sched_getparam", "sched_getscheduler", "sched_setscheduler", "setpriority", "getpriority",
    "ioprio_set", "getcpu",
    /* signals */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigpending",
    "rt_sigsuspend", "sigaltstack", "kill", "tgkill", "tkill", "rt_sigqueueinfo",
    /* who and what */
    "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrandom", "uname", "sysinfo",
    "getrusage", "getrlimit", "setrlimit", "prlimit64", "prctl"};

/* Nothing that serves has a use for these: whoever calls them is somebody else by now. */
static const char *const deadly[] = {"execve",
                                     "execveat",
                                     "ptrace",
                                     "process_vm_readv",
                                     "process_vm_writev",
                                     "init_module",
                                     "finit_module",
                                     "kexec_load",
                                     "bpf",
                                     "mount",
                                     "pivot_root",
                                     "unshare",
                                     "setns"};

static int add(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);

        if (number != __NR_SCMP_ERROR)
            rc = seccomp_rule_add(filter, action, number, 0);
    }
    return rc;
}

static int load(enum brim_sandbox mode)
{
    uint32_t other = mode == BRIM_SANDBOX_LOG ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EPERM);
    scmp_filter_ctx filter = seccomp_init(other);
    int rc;

    if (filter == NULL)
        return -ENOMEM;
    rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(allowed[0]));
    if (rc == 0 && mode == BRIM_SANDBOX_ENFORCE)
        rc = add(filter, SCMP_ACT_KILL_PROCESS, deadly, sizeof(deadly) / sizeof(deadly[0]));
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc;
}

void brim_sandbox_hide(void)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        BRIM_LOG(WARN, "sandbox.memory", "errno=%d", errno);
}

enum brim_err brim_sandbox_enter(enum brim_sandbox mode)
{
    int rc = 0;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        BRIM_LOG(WARN, "sandbox.privileges", "errno=%d", errno);
    if (mode != BRIM_SANDBOX_OFF)
        rc = load(mode);
    if (rc == 0)
        return BRIM_OK;
    BRIM_LOG(ERROR, "sandbox.seccomp",
             "errno=%d do=\"set node.seccomp to off where the kernel has none\"", -rc);
    return BRIM_EIO;
}

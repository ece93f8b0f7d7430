"""Runs a program as a container runtime would: contain.py ROOT PROFILE PROGRAM [ARGUMENT...]

ROOT is the only file system, read-only, with what every container has of /proc and /dev. The user is nobody's, without a capability and without a way to
gain one, and PROFILE, a seccomp profile as container runtimes read them, says what the kernel does for it.
Must be run as root in a mount namespace of its own.
"""

import ctypes
import errno
import json
import os
import platform
import subprocess
import sys

import seccomp

USER = 65532
PR_SET_NO_NEW_PRIVS = 38
# As linux/prctl.h and runtimes of containers have it.
ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
ACTIONS = {"SCMP_ACT_ALLOW": seccomp.ALLOW}


def seccomp_filter(path):
    """The filter that a profile asks for on this machine."""
    with open(path, encoding="utf-8") as text:
        profile = json.load(text)
    known = [entry["architecture"] for entry in profile["archMap"]]
    if ARCHITECTURES[platform.machine()] not in known:
        sys.exit(f"{path} is not for {platform.machine()}")
    if profile["defaultAction"] != "SCMP_ACT_ERRNO":
        sys.exit(f"{path}: {profile['defaultAction']} by default")
    refusing = seccomp.SyscallFilter(defaction=seccomp.ERRNO(profile.get("defaultErrnoRet", errno.EPERM)))
    for rule in profile["syscalls"]:
        for name in rule["names"]:
            try:
                refusing.add_rule(ACTIONS[rule["action"]], name)
            except (RuntimeError, OSError, ValueError):
                # Runtimes pass over calls that this machine's architecture or library does not know.
                continue
    return refusing


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def main(root, profile, *program):
    refusing = seccomp_filter(profile)
    mount("--bind", root, root)
    mount("-o", "remount,bind,ro", root)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", f"{root}/dev")
    for device in ("null", "zero", "random", "urandom"):
        open(f"{root}/dev/{device}", "x").close()
        mount("--bind", f"/dev/{device}", f"{root}/dev/{device}")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{root}/dev/{name}")
    mount("-o", "remount,ro", f"{root}/dev")
    os.chroot(root)
    os.chdir("/")
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        sys.exit("no_new_privs is refused")
    refusing.load()
    os.execv(program[0], program)


main(*sys.argv[1:])

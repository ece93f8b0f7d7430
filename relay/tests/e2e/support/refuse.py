"""Runs a program for which the kernel refuses one system call: refuse.py CALL PROGRAM [ARGUMENT...]"""

import errno
import os
import sys

import seccomp

refusing = seccomp.SyscallFilter(defaction=seccomp.ALLOW)
refusing.add_rule(seccomp.ERRNO(errno.EPERM), sys.argv[1])
refusing.load()
os.execv(sys.argv[2], sys.argv[2:])

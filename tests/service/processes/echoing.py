"""A program that tells what it is, and ends when it hears anything or the other end is gone."""

import json
import os
import signal
import socket
from pathlib import Path

from crossmargin.service.processes.nursery import given


def main(argument, descriptors):
    with socket.socket(fileno=descriptors[0]) as link:
        standard = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
        kinds = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        told = {
            "argument": argument,
            "pid": os.getpid(),
            "threads": os.environ["NUMBA_NUM_THREADS"],
            "ignored": [each for each in standard if signal.getsignal(each) is signal.SIG_IGN],
            "sockets": sum(each.startswith("socket:") for each in kinds),
        }
        link.sendall(json.dumps(told).encode())
        link.recv(1)


if __name__ == "__main__":
    main(*given())

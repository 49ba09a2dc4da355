#!/usr/bin/python3
# Holds the sockets of port 53 and keeps a program running on them, as systemd does with a .socket unit
# (sd_listen_fds(3)): whenever the program ends, it is started again and finds in the sockets what arrived meanwhile.
# Usage: keep_sockets.py ADDRESS PORT PROGRAM ARGUMENT…    SIGTERM ends both.
import os
import signal
import socket
import sys

address, port = sys.argv[1], int(sys.argv[2])
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((address, port))
tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind((address, port))
tcp.listen(128)
child = 0


def stop(*_):
    if child:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
while True:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for at, one in ((3, udp), (4, tcp)):
            if one.fileno() == at:
                os.set_inheritable(at, True)
            else:
                os.dup2(one.fileno(), at)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="dns:dns")
        os.execv(sys.argv[3], sys.argv[3:])
    os.waitpid(child, 0)

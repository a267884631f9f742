#!/usr/bin/env python3
"""A relay before a DNS server that hands every answer over late.

    slow_dns.py LISTEN-ADDRESS SERVER-ADDRESS MILLISECONDS COUNT-FILE

Both at UDP port 53. Each question adds a line to the file.
"""
import socket
import sys
import threading


def relay(listener, server, delay, data, client):
    upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    upstream.settimeout(5)
    try:
        upstream.sendto(data, (server, 53))
        answer, _ = upstream.recvfrom(65535)
    except OSError:
        return
    finally:
        upstream.close()
    threading.Timer(delay, listener.sendto, (answer, client)).start()


def main():
    address, server, milliseconds, path = sys.argv[1:5]
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((address, 53))
    with open(path, "a", buffering=1) as count:
        while True:
            data, client = listener.recvfrom(65535)
            count.write("question\n")
            arguments = (listener, server, int(milliseconds) / 1000, data, client)
            threading.Thread(target=relay, args=arguments, daemon=True).start()


main()

#!/usr/bin/env python3
"""TLS before a server that speaks plain text.

    tls_front.py CERTIFICATE KEY TARGET-PORT [CLIENT-AUTHORITY]

Listens on a free port of 127.0.0.1, which it prints. The files are read for each connection, so that
they can be replaced. With an authority clients must show a certificate of it.
"""
import socket
import ssl
import sys
import threading


def pump(source, sink):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            sink.sendall(data)
    except (OSError, ValueError):
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(connection, certificate, key, port, authority):
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if authority:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(authority)
        client = context.wrap_socket(connection, server_side=True)
        server = socket.create_connection(("127.0.0.1", port))
    except (OSError, ValueError):
        connection.close()
        return
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)


def main():
    certificate, key, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    authority = sys.argv[4] if len(sys.argv) > 4 else None
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    print(f"port {listener.getsockname()[1]} ready", flush=True)
    while True:
        connection, _ = listener.accept()
        arguments = (connection, certificate, key, port, authority)
        threading.Thread(target=serve, args=arguments, daemon=True).start()


main()

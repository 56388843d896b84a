"""What code does that a tool runs in the sandbox, to reach a server without the gateway. In Python.

Each finds PORT, the port of a server on all addresses of this machine, for TCP and for UDP; OWN, the address
of this machine on its network; STOLEN, the way to another tool's gateway, which may reach PORT.
"""

from __future__ import annotations

from typing import Final

_CONNECT: Final = "import socket; socket.create_connection(({host!r}, PORT), 5)"
_TCP: Final = "import socket; s = socket.socket(); "
_DATAGRAM: Final = "import socket; s = socket.socket(socket.{family}, socket.SOCK_DGRAM); "

SCRIPTS: Final = {
    **{
        f"a connection to {host}": _CONNECT.format(host=host)
        for host in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "localhost", "::1", "::ffff:127.0.0.1")
    },
    "a connection to this machine's own address": "import socket; socket.create_connection((OWN, PORT), 5)",
    "a connection that does not wait": _TCP + """
import select
s.setblocking(False); s.connect_ex(("127.0.0.1", PORT)); select.select([], [s], [], 5); s.send(b"x")""",
    "a connection by the first data": _TCP + "s.sendto(b'x', socket.MSG_FASTOPEN, ('127.0.0.1', PORT))",
    "a connection by the first data, in a message": _TCP
    + "s.sendmsg([b'x'], [], socket.MSG_FASTOPEN, ('127.0.0.1', PORT))",
    "a connection by the first data, as an option": _TCP
    + "s.setsockopt(socket.IPPROTO_TCP, 30, 1); s.connect(('127.0.0.1', PORT)); s.send(b'x')",
    "a connection of many paths": "import socket; s = socket.socket(proto=262); s.connect(('127.0.0.1', PORT))",
    "a connection of a child": "import os, socket\n"
    "if os.fork(): os.wait()\nelse: socket.create_connection(('127.0.0.1', PORT), 5)",
    "a connection of a thread": "import socket, threading\n"
    "t = threading.Thread(target=lambda: socket.create_connection(('127.0.0.1', PORT), 5)); t.start(); t.join()",
    "a connection after the gateway's": "import os, socket, urllib.parse\n"
    "at = urllib.parse.urlsplit(os.environ.get('HTTPS_PROXY', f'http://127.0.0.1:{PORT}'))\n"
    "s = socket.create_connection((at.hostname, at.port), 5)\n"
    "s.connect_ex(('0.0.0.0', 0)); s.close(); socket.create_connection(('127.0.0.1', PORT), 5)",
    "a socket that is unconnected and connected anew": "import os, socket, urllib.parse, ctypes\n"
    "at = urllib.parse.urlsplit(os.environ.get('HTTPS_PROXY', f'http://127.0.0.1:{PORT}'))\n"
    "s = socket.create_connection((at.hostname, at.port), 5)\n"
    "ctypes.CDLL(None).connect(s.fileno(), bytes(16), 16)\n"  # AF_UNSPEC
    "s.connect(('127.0.0.1', PORT))",
    "the shell's own connections": "import subprocess\n"
    "subprocess.run(['/bin/bash', '-c', f'exec 3<>/dev/tcp/127.0.0.1/{PORT}'])",
    "curl without a proxy": "import subprocess\n"
    "subprocess.run(['/usr/bin/curl', '--noproxy', '*', '-sm5', f'http://127.0.0.1:{PORT}/'])",
    "a question to a server of names": _DATAGRAM.format(family="AF_INET")
    + "s.sendto(b'\\0' * 12, ('127.0.0.1', PORT))",
    "a question to a server of names, by IPv6": _DATAGRAM.format(family="AF_INET6")
    + "s.sendto(b'\\0' * 12, ('::1', PORT))",
    "a question on a connected socket": _DATAGRAM.format(family="AF_INET")
    + "s.connect(('127.0.0.1', PORT)); s.send(b'\\0' * 12)",
    "another tool's gateway": """
import base64, socket, urllib.parse
at = urllib.parse.urlsplit(STOLEN)
s = socket.create_connection((at.hostname, at.port), 5)
token = base64.b64encode(f"{at.username}:{at.password}".encode()).decode()
s.sendall(f"CONNECT 127.0.0.1:{PORT} HTTP/1.1\\r\\nProxy-Authorization: Basic {token}\\r\\n\\r\\n".encode())
s.recv(99); s.recv(99)""",
}  # fmt: skip

# What opens the other gateway opens nothing here: asked of the tool's own one, it is nobody's.
OWN_DOOR: Final = """
import base64, os, socket, urllib.parse
at, stolen = map(urllib.parse.urlsplit, (os.environ["HTTPS_PROXY"], STOLEN))
for user, password in ((stolen.username, stolen.password), (stolen.username, at.password), ("claude", "guess")):
    s = socket.create_connection((at.hostname, at.port), 5)
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    s.sendall(f"CONNECT 127.0.0.1:{PORT} HTTP/1.1\\r\\nProxy-Authorization: Basic {token}\\r\\n\\r\\n".encode())
    print(s.recv(99).split()[1].decode())
"""

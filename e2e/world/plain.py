"""A mail server that knows no TLS and takes every mail. What clients say to it
are lines of a file.

Usage: plain.py FILE ADDRESS
"""

import socketserver
import sys

path, address = sys.argv[1:]


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 plain ESMTP")
        while line := self.rfile.readline():
            self.note(line)
            verb = line[:4].upper()
            if verb == b"DATA":
                self.say("354 go on")
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    self.note(line)
            self.say("221 bye" if verb == b"QUIT" else "250 fine")
            if verb == b"QUIT":
                return

    def say(self, reply):
        self.wfile.write(reply.encode() + b"\r\n")

    def note(self, line):
        with open(path, "ab") as lines:
            lines.write(line)


socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer((address, 25), Session).serve_forever()

"""Says to the SMTP port what no client should, and after each case sends a good mail.

Writes the subjects of the good mails to the file good in $WORK.
"""

import os
import signal
import socket
import sys

host, port = os.environ["SMTP"].rsplit(":", 1)
server = int(os.environ["SERVER_PID"])
inbox = os.environ["ADDRESS"]
good = open(os.path.join(os.environ["WORK"], "good"), "w")


class Session:
    """A connection; every answer is the code and the text of its last line."""

    def __init__(self, hello=True):
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.lines = self.socket.makefile("rb")
        if hello:
            self.expect("220")
            self.say("EHLO client.example.com", "250")

    def answer(self):
        while True:
            line = self.lines.readline().decode().rstrip("\r\n")
            if not line or line[3:4] != "-":
                return line

    def expect(self, start):
        got = self.answer()
        if not got.startswith(start):
            sys.exit(f"{got!r} where {start!r} was expected")

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def say(self, line, start):
        self.send(line + "\r\n")
        self.expect(start)

    def envelope(self):
        self.say("MAIL FROM:<sender@example.com>", "250")
        self.say(f"RCPT TO:<{inbox}>", "250")
        self.say("DATA", "354")

    def mail(self, subject):
        self.envelope()
        self.send(f"From: sender@example.com\r\nSubject: canarysubject {subject}\r\n\r\nunharmed canarybody\r\n.\r\n")
        self.expect("250")
        print(f"canarysubject {subject}", file=good, flush=True)

    def closed(self):
        self.socket.settimeout(60)
        try:
            while self.lines.readline():
                pass
        except ConnectionResetError:
            pass


def commands():
    """Each is refused, and the session goes on."""
    s = Session()
    for line, start in [
        ("MAIL FROM:<sender@example.com> SIZE=99999999", "552 5.3.4"),
        ("RCPT TO:<target@openmail.localhost>", "503"),
        ("DATA", "503"),
        ("NONSENSE canarybody", "500"),
        ("MAIL FROM:sender@example.com", "501"),
        ("MAIL FROM:<sender@example.com> NOSUCH=1", "555"),
    ]:
        s.say(line, start)
    s.mail("after bad commands")
    s.say("MAIL FROM:<sender@example.com>", "250")
    s.say("RCPT TO:<nobody@openmail.localhost>", "550 5.1.1")
    s.say("RCPT TO:<someone@example.net>", "550")
    s.say("RCPT TO:<../../etc/passwd@openmail.localhost>", "5")
    s.say("DATA", "554")
    s.say("RSET", "250")
    s.mail("after unknown recipients")


def too_large():
    s = Session()
    s.envelope()
    s.send("Subject: canarysubject large\r\n\r\n" + "canarybody line\r\n" * 15000 + ".\r\n")
    s.expect("552 5.3.4")
    s.mail("after a mail too large, in the same session")


def bare_line_feeds():
    """SMTP smuggling: every spelling of the end of data but the right one."""
    for n, end in enumerate([b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r"]):
        s = Session()
        s.envelope()
        smuggled = f"MAIL FROM:<sender@example.com>\r\nRCPT TO:<{inbox}>\r\nDATA\r\nSubject: canarysubject smuggled\r\n\r\nsmuggled\r\n.\r\n"
        s.send(b"Subject: canarysubject outer\r\n\r\nouter" + end + smuggled.encode())
        s.expect("550 5.6.0")
        s.closed()
        Session().mail(f"after smuggling {n}")


def not_smtp():
    for opening in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"EHLO x\n", b"\x00" * 100 + b"\r\n", b"A" * 100000]:
        s = Session(hello=False)
        s.lines.readline()
        try:
            s.send(opening)
        except (BrokenPipeError, ConnectionResetError):
            pass
        s.socket.shutdown(socket.SHUT_WR)
        s.closed()
    Session().mail("after what is not SMTP")


def stands_still(process):
    """Whether every thread has met the SIGSTOP: one on another processor may run
    on for a moment."""
    tasks = f"/proc/{process}/task"
    states = []
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/stat") as stat:
            states.append(stat.read().rpartition(") ")[2][0])
    return all(state == "T" for state in states)


def early_talker():
    """The kernel connects while the server stands still, so that it finds the
    text there before it can have greeted anybody."""
    os.kill(server, signal.SIGSTOP)
    try:
        while not stands_still(server):
            pass
        s = Session(hello=False)
        s.send("EHLO x\r\nMAIL FROM:<sender@example.com>\r\n")
    finally:
        os.kill(server, signal.SIGCONT)
    s.expect("554 5.5.0")
    s.closed()
    Session().mail("after an early talker")


def dropped_in_the_middle():
    """A connection that ends before the mail does leaves no mail."""
    s = Session()
    s.envelope()
    s.send("Subject: canarysubject half\r\n\r\nhalf of it")
    s.socket.close()
    Session().mail("after a mail that was cut off")


for case in [commands, too_large, bare_line_feeds, not_smtp, early_talker, dropped_in_the_middle]:
    case()
    print(case.__name__)

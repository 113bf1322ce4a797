"""A name server, by datagram and by TCP, that says of every answer that it was
validated. Its records are the lines `name TYPE value` of a file, which is read
for every question, so that records come and go while it runs.

Usage: names.py FILE ADDRESS
"""

import socketserver
import sys
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

path, address = sys.argv[1:]


def records():
    with open(path) as lines:
        for line in lines:
            name, kind, value = line.strip().split(" ", 2)
            kind = dns.rdatatype.from_text(kind)
            yield dns.name.from_text(name), dns.rdata.from_text(dns.rdataclass.IN, kind, value)


def answer(wire):
    query = dns.message.from_wire(wire)
    reply = dns.message.make_response(query, recursion_available=True)
    reply.flags |= dns.flags.AD
    question = query.question[0]
    named = [record for name, record in records() if name == question.name]
    found = [record for record in named if record.rdtype == question.rdtype]
    if found:
        reply.answer.append(dns.rrset.from_rdata_list(question.name, 60, found))
    elif not named and not any(name.is_subdomain(question.name) for name, _ in records()):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        wire, socket = self.request
        reply = answer(wire)
        room = 512 if reply.edns < 0 else max(512, dns.message.from_wire(wire).payload)
        try:
            out = reply.to_wire(max_size=room)
        except dns.exception.TooBig:
            reply.answer, reply.flags = [], reply.flags | dns.flags.TC
            out = reply.to_wire()
        socket.sendto(out, self.client_address)


class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        while len(length := self.rfile.read(2)) == 2:
            out = answer(self.rfile.read(int.from_bytes(length, "big"))).to_wire()
            self.wfile.write(len(out).to_bytes(2, "big") + out)


socketserver.ThreadingTCPServer.allow_reuse_address = True
streams = socketserver.ThreadingTCPServer((address, 53), Stream)
streams.daemon_threads = True
threading.Thread(target=streams.serve_forever, daemon=True).start()
socketserver.ThreadingUDPServer((address, 53), Datagram).serve_forever()

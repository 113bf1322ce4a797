"""Checks the DKIM signatures of the mail in standard input with python3-dkim,
which asks the name server of the system for the keys: there have to be two of
the domain, and both have to hold.

Usage: signed.py DOMAIN
"""

import email
import sys

import dkim

raw = sys.stdin.buffer.read()
signatures = email.message_from_bytes(raw).get_all("DKIM-Signature", [])
assert len(signatures) == 2, f"{len(signatures)} signatures"
algorithms = set()
for n in range(2):
    verifier = dkim.DKIM(raw)
    assert verifier.verify(idx=n), f"signature {n} does not hold: {signatures[n]}"
    assert verifier.domain.decode() == sys.argv[1], verifier.domain
    algorithms.add(verifier.signature_fields[b"a"].decode())
assert algorithms == {"rsa-sha256", "ed25519-sha256"}, algorithms

"""Checks a signed mail with python3-dkim, which knows both kinds of keys.

Standard input is JSON: {"mail": …, "records": {name: value}, "signatures": n}.
Each line of the output is what became of one signature.
"""
import json
import sys

import dkim

given = json.load(sys.stdin)
records = {name.rstrip(".") + ".": value.encode() for name, value in given["records"].items()}


def txt(name, timeout=5):
    return records.get(name.decode() if isinstance(name, bytes) else name)


for i in range(given["signatures"]):
    d = dkim.DKIM(given["mail"].encode())
    try:
        good = d.verify(idx=i, dnsfunc=txt)
        print(d.signature_fields[b"a"].decode(), "pass" if good else "fail")
    except dkim.DKIMException as e:
        print("error", e)

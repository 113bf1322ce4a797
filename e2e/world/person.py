"""Ten mails to and fro between an inbox, by REST, and a person with a mailbox at
Postfix, whose mail program is Python's smtplib, email and mailbox: one thread on
the inbox's side, In-Reply-To and References that name what was said before on
the other.

Usage: person.py BASE KEY INBOX ADDRESS POSTFIX PERSON MAILDIR
"""

import email
import email.policy
import json
import mailbox
import smtplib
import sys
import time
import urllib.request
from email.message import EmailMessage
from email.utils import make_msgid

base, key, inbox, address, postfix, person, maildir = sys.argv[1:]
domain = person.partition("@")[2]


def ask(method, path, body=None):
    request = urllib.request.Request(base + path, method=method, headers={"Authorization": "Bearer " + key})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def eventually(what, get):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (got := get()) is not None:
            return got
        time.sleep(0.02)
    sys.exit(f"waited in vain for {what}")


def received(n):
    """The newest message of the inbox, once it has n."""
    listed = ask("GET", f"/v1/inboxes/{inbox}/messages?limit=1")
    return listed["data"][0] if listed["total"] == n else None


def delivered(message_id):
    """The mail with a Message-ID, out of the person's mailbox."""
    try:
        box = mailbox.Maildir(maildir, factory=lambda f: email.message_from_string(f.read().decode(), policy=email.policy.default), create=False)
        return next((m for m in box if m["Message-ID"] == message_id), None)
    except (mailbox.NoSuchMailboxError, FileNotFoundError):
        return None  # Postfix makes it for the first mail: one folder after the other


def write(previous):
    m = EmailMessage()
    m["From"], m["To"] = f"Carol Büchner <{person}>", address
    m["Message-ID"] = make_msgid(domain=domain)
    m["Subject"] = previous["Subject"] if previous else "Bücher für Jane"
    if previous:
        m["In-Reply-To"] = previous["Message-ID"]
        m["References"] = f"{previous['References']} {previous['Message-ID']}"
    m.set_content(f"Mail {len(said)}, with ümlauts.\n")
    with smtplib.SMTP(postfix, 25, local_hostname="laptop." + domain) as s:
        s.send_message(m)  # with SMTPUTF8 where the address needs it
    return m


said = []  # Message-IDs, in order
thread = previous = None
for turn in range(5):
    mail = write(previous)
    said.append(mail["Message-ID"])
    newest = eventually("the person's mail", lambda: received(len(said)))
    thread = thread or newest["threadId"]
    assert newest["threadId"] == thread, "the mail began a thread of its own"
    assert newest["rfcMessageId"] == mail["Message-ID"], newest

    sent = ask("POST", f"/v1/inboxes/{inbox}/send", {"to": newest["fromAddr"], "body": f"Answer {turn}: grüße.", "threadId": thread})
    assert sent["threadId"] == thread, "the reply is not in the thread"
    previous = eventually("the reply", lambda: delivered(sent["providerMessageId"]))
    assert not previous.defects, previous.defects
    assert previous["In-Reply-To"] == mail["Message-ID"], previous["In-Reply-To"]
    assert previous["References"].split() == said, (previous["References"], said)
    assert previous["Subject"] == "Re: Bücher für Jane", previous["Subject"]
    assert previous["From"].addresses[0].addr_spec == address, previous["From"]
    assert previous["To"].addresses[0].addr_spec == person, repr(previous["To"].addresses)
    assert f"Answer {turn}: grüße." in previous.get_body(("plain",)).get_content()
    said.append(previous["Message-ID"])

conversation = ask("GET", f"/v1/threads/{thread}/messages")
assert [m["rfcMessageId"] for m in conversation["data"]] == said, "the thread is not the conversation"

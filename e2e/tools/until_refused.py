"""Sends mails over two sessions until the server takes no more; prints the subject of each that was answered 250.

Ends with status 0 when the server said 421 or closed the connection between
two mails. Arguments: host, port, recipient.
"""

import smtplib
import sys
import threading

host, port, recipient = sys.argv[1:]
output = threading.Lock()


def send(name):
    n = 0
    try:
        with smtplib.SMTP(host, int(port), local_hostname="client.example.com") as s:
            while True:
                n += 1
                subject = f"{name} {n}"
                s.sendmail("load@example.com", recipient, f"From: load@example.com\r\nSubject: {subject}\r\n\r\nA line.\r\n")
                with output:
                    print(subject, flush=True)
    except smtplib.SMTPServerDisconnected:
        print("closed", file=sys.stderr)
    except smtplib.SMTPResponseException as e:
        print(e.smtp_code, e.smtp_error.decode(), file=sys.stderr)


threads = [threading.Thread(target=send, args=(f"session {i}",)) for i in (1, 2)]
for t in threads:
    t.start()
for t in threads:
    t.join()

package smtpout

import (
	"bytes"
	"context"
	"slices"

	"openmail/internal/outgoing"
)

// maxRecipients of one transaction (RFC 5321 section 4.5.3.1.8).
const maxRecipients = 100

// offer is a parcel on its way from server to server.
type offer struct {
	domain  string
	from    string
	to      []string // as they were given
	path    []string // as RCPT takes them
	mail    []byte
	taken   func(who []int, a outgoing.Answer)
	needs   needs
	answers []outgoing.Answer
	open    []int // those that may still be offered, in order

	policy   policy // of the domain
	enforced bool   // whether it has one

	addresses int // that were tried
	sessions  int // in which a server talked
}

// newOffer checks a parcel. What cannot be said in SMTP is answered at once.
func newOffer(p outgoing.Parcel) *offer {
	o := &offer{
		domain: p.Domain, from: p.From, to: p.To, mail: p.Mail,
		path: make([]string, len(p.To)), answers: make([]outgoing.Answer, len(p.To)), taken: p.Taken,
	}
	if o.taken == nil {
		o.taken = func([]int, outgoing.Answer) {}
	}
	for i, to := range p.To {
		var ok bool
		if o.path[i], ok = path(to); !ok {
			o.answers[i] = *refused("5.1.3", "the address is not one that a mail server understands")
			continue
		}
		o.answers[i] = *deferred("4.0.0", "no server was asked")
		o.open = append(o.open, i)
	}
	o.checkRest()
	return o
}

func (o *offer) checkRest() {
	if o.from != "" {
		from, ok := path(o.from)
		if !ok {
			o.settle(o.open, *refused("5.1.7", "the sender's address is not one that a mail server understands"))
			return
		}
		o.from = from
	}
	if !isClean(o.mail) {
		o.settle(o.open, *refused("5.6.0", "the mail has a line that does not end as it must: it was not sent"))
		return
	}
	o.needs = needsOf(o.from, o.mail)
}

// settle records the last word on recipients.
func (o *offer) settle(who []int, a outgoing.Answer) {
	for _, i := range slices.Clone(who) {
		o.answers[i] = a
		o.open = slices.DeleteFunc(o.open, func(j int) bool { return i == j })
	}
}

// pass records that a server did not take the mail for recipients, which the
// next one may.
func (o *offer) pass(who []int, a outgoing.Answer) {
	for _, i := range who {
		if tellsMore(a, o.answers[i]) {
			o.answers[i] = a
		}
	}
}

// tellsMore reports whether an answer of one server is to stand for that of
// another: a refusal stands only where every server refused, and what a server
// said tells more than that it said nothing.
func tellsMore(a, before outgoing.Answer) bool {
	switch {
	case before.Enhanced == "4.0.0" && before.Server == "" && before.Code == 0:
		return true // nobody was asked
	case a.Fate != before.Fate:
		return a.Fate == outgoing.FateDeferred
	case (a.Code != 0) != (before.Code != 0):
		return a.Code != 0
	}
	return (a.Server != "") || before.Server == ""
}

// tired reports whether this offer has been tried enough.
func (o *offer) tired(ctx context.Context) bool {
	return ctx.Err() != nil || len(o.open) == 0 || o.addresses >= maxAddresses || o.sessions >= maxSessions
}

// stuffed is the mail as DATA takes it: dots that begin a line are doubled (RFC
// 5321 section 4.5.2), and the last line ends.
func (o *offer) stuffed() []byte {
	mail := o.mail
	if len(mail) > 0 && !bytes.HasSuffix(mail, []byte("\r\n")) {
		mail = append(slices.Clip(mail), "\r\n"...)
	}
	if bytes.Contains(mail, []byte("\r\n.")) {
		mail = bytes.ReplaceAll(mail, []byte("\r\n."), []byte("\r\n.."))
	}
	if bytes.HasPrefix(mail, []byte(".")) {
		mail = append([]byte("."), mail...)
	}
	return mail
}

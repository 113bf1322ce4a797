package outgoing

import (
	"strings"
	"unicode/utf8"

	"openmail"
)

// Bounds of the References field. The first id and the newest are kept, as RFC
// 5322 section 3.6.4 allows.
const (
	maxReferences    = 100
	maxReferenceSize = 500 // bytes of one id: it must fit into a line
)

// Conversation is what a reply needs to know of the thread that it goes into.
type Conversation struct {
	Thread openmail.Thread
	// IDs are the Message-IDs of the thread, oldest first: the first, and
	// the newest hundred.
	IDs []string
	// Last is the newest message that is no report of a mail server, with
	// its bodies; the zero Message when there is none.
	Last openmail.Message
	// Inbound is the newest of those that came in, without bodies.
	Inbound openmail.Message
}

// subject is the thread's subject with Re: before it, once.
func (c Conversation) subject() string {
	s := oneLine(c.Thread.Subject)
	if len(s) < 3 || !strings.EqualFold(s[:3], "re:") {
		s = strings.TrimSpace("Re: " + s)
	}
	if utf8.RuneCountInString(s) > maxSubject {
		s = string([]rune(s)[:maxSubject])
	}
	return s
}

// references are the ids for the References field, oldest first, and that of
// the message that is answered, which is the last of them.
func (c Conversation) references() (inReplyTo string, refs []string) {
	if id := c.Last.RFCMessageID; citable(id) {
		inReplyTo = id
	}
	for _, id := range c.IDs {
		if citable(id) && id != inReplyTo {
			refs = append(refs, id)
		}
	}
	if inReplyTo != "" {
		refs = append(refs, inReplyTo)
	}
	if len(refs) > maxReferences {
		refs = append(refs[:1:1], refs[len(refs)-maxReferences+1:]...)
	}
	return inReplyTo, refs
}

// citable reports whether a stranger's message id can stand in a header of
// ours: in brackets, printable ASCII without blanks, and not too long.
func citable(id string) bool {
	return len(id) > 2 && len(id) <= maxReferenceSize && id[0] == '<' && id[len(id)-1] == '>' &&
		!strings.ContainsFunc(id[1:len(id)-1], func(r rune) bool { return r <= ' ' || r > '~' || r == '<' || r == '>' })
}

// quote is what the reply repeats of the last message.
func (c Conversation) quote() (quote, bool) {
	if c.Last.ID == "" || strings.TrimSpace(c.Last.BodyText) == "" {
		return quote{}, false
	}
	return quote{at: c.Last.CreatedAt, from: c.Last.From.String(), text: c.Last.BodyText}, true
}

// autoCC is who must see the reply because the last mail that came in only
// mentioned this inbox in its Cc: whoever sent it.
func (c Conversation) autoCC() (openmail.Address, bool) {
	if c.Inbound.DeliveryRole != openmail.RoleCC {
		return openmail.Address{}, false
	}
	addr, ok := canonical(c.Inbound.From.Addr)
	name := oneLine(c.Inbound.From.Name)
	if utf8.RuneCountInString(name) > maxName {
		name = ""
	}
	return openmail.Address{Name: name, Addr: addr}, ok
}

// copies is who gets a copy: those that were asked for and also, each once,
// neither the recipient nor the inbox that sends.
func copies(to openmail.Address, asked, also []openmail.Address, own string) (cc []openmail.Address) {
	taken := []string{to.Addr, own}
	for _, a := range append(asked[:len(asked):len(asked)], also...) {
		if !contains(taken, a.Addr) {
			taken = append(taken, a.Addr)
			cc = append(cc, a)
		}
	}
	return cc
}

func contains(list []string, addr string) bool {
	for _, a := range list {
		if same(a, addr) {
			return true
		}
	}
	return false
}

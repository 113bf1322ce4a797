package smtpout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"openmail/internal/outgoing"
)

// transaction is one mail offered on a conversation, for some recipients.
type transaction struct {
	*conversation
	offer     *offer
	who       []int // it is offered for
	accepted  []int // whom the server knows
	pipelined bool  // every command up to DATA has been sent
}

// transact offers the mail for as many of the open recipients as one transaction
// takes. It returns whether this conversation can do more for the others.
func (c *conversation) transact(o *offer) (again bool) {
	t := &transaction{conversation: c, offer: o, who: c.batch(o)}
	if t.fits() {
		if err := t.run(); err != nil {
			c.broken = true
			o.pass(t.open(), c.lostAnswer(err))
		}
	}
	return !c.broken && len(c.batch(o)) > 0
}

// batch is for whom the next transaction is: those that were not offered on this
// conversation before.
func (c *conversation) batch(o *offer) []int {
	var who []int
	for _, i := range o.open {
		if !c.offered[i] && len(who) < maxRecipients {
			who = append(who, i)
		}
	}
	return who
}

// open lists the recipients of the transaction that nobody has settled.
func (t *transaction) open() []int {
	var open []int
	for _, i := range t.offer.open {
		if slices.Contains(t.who, i) {
			open = append(open, i)
		}
	}
	return open
}

// fits holds the mail against what the server can do. It settles for whom it
// cannot be sent, and returns whether anybody is left.
func (t *transaction) fits() bool {
	n := t.offer.needs
	limit, _ := strconv.Atoi(strings.TrimSpace(t.extensions["SIZE"]))
	switch {
	case limit > 0 && n.size > limit: // RFC 1870 section 6.1
		t.settle(refused("5.3.4", fmt.Sprintf("the server takes mail of up to %d bytes, this one has %d", limit, n.size)))
	case n.utf8 && !t.has("SMTPUTF8"):
		t.settle(refused("5.6.7", "the server does not take international addresses or headers"))
	case n.bit8 && !n.utf8 && !t.has("8BITMIME"):
		t.settle(refused("5.6.3", "the server does not take mail with more than ASCII in it"))
	}
	if !t.has("SMTPUTF8") {
		for _, i := range t.open() {
			if !isASCII(t.offer.path[i]) {
				t.offer.settle([]int{i}, *t.signed(refused("5.6.7", "the server does not take international addresses")))
			}
		}
	}
	for _, i := range t.who {
		t.offered[i] = true
	}
	t.who = t.open()
	return len(t.who) > 0
}

func (t *transaction) settle(a *outgoing.Answer) { t.offer.settle(t.open(), *t.signed(a)) }

// run has the transaction. An error is one of the connection.
func (t *transaction) run() error {
	commands := t.commands()
	if t.has("PIPELINING") { // RFC 2920
		t.pipelined = true
		if err := t.wire.send(t.patience.Command, commands...); err != nil {
			return err
		}
	}
	willing, err := t.mail(commands[0])
	if err != nil || t.broken || !willing && !t.pipelined {
		return err
	}
	for n, i := range t.who {
		if err := t.rcpt(i, commands[1+n], willing); err != nil || t.broken {
			return err
		}
	}
	if len(t.accepted) == 0 && !t.pipelined {
		return t.reset()
	}
	return t.data(commands[len(commands)-1], willing)
}

func (t *transaction) commands() []string {
	mail := "MAIL FROM:<" + t.offer.from + ">"
	if t.has("SIZE") {
		mail += " SIZE=" + strconv.Itoa(t.offer.needs.size)
	}
	international := t.offer.needs.utf8
	for _, i := range t.who {
		international = international || !isASCII(t.offer.path[i])
	}
	if international {
		mail += " SMTPUTF8"
	}
	if t.offer.needs.bit8 && t.has("8BITMIME") {
		mail += " BODY=8BITMIME"
	}
	commands := []string{mail}
	for _, i := range t.who {
		commands = append(commands, "RCPT TO:<"+t.offer.path[i]+">")
	}
	return append(commands, "DATA")
}

// next is the reply to a command, which is sent unless it has been.
func (t *transaction) next(command string) (reply, error) {
	if t.pipelined {
		return t.wire.reply(t.patience.Command)
	}
	return t.ask(command)
}

// mail names the sender. The transaction is over unless it is willing.
func (t *transaction) mail(command string) (willing bool, err error) {
	r, err := t.next(command)
	if err != nil || r.done() {
		return err == nil, err
	}
	if t.relay && slices.Contains([]int{530, 534, 535, 538}, r.code) {
		// It wants to know who we are, which is between it and us (RFC 4954
		// section 6).
		t.offer.pass(t.open(), *t.signed(new(ours(r.answer(stageMail)))))
		return false, nil
	}
	t.hear(r, stageMail, t.open())
	return false, nil
}

// rcpt names a recipient.
func (t *transaction) rcpt(i int, command string, willing bool) error {
	r, err := t.next(command)
	switch {
	case err != nil:
		return err
	case !willing:
	case r.done():
		t.accepted = append(t.accepted, i)
	default:
		t.hear(r, stageRcpt, []int{i})
	}
	return nil
}

// hear takes a reply that is not the wanted one, for those that it is about. A
// deferral leaves them to the next server. One that ends the conversation, by
// its code (RFC 5321 section 3.8) or for being out of place, is about everybody.
func (t *transaction) hear(r reply, at stage, who []int) {
	a := *t.signed(new(r.answer(at)))
	switch {
	case r.code == 421:
		t.broken = true
		t.offer.pass(t.open(), a)
	case r.later():
		t.offer.pass(who, a)
	case r.refused():
		t.offer.settle(who, a)
	default:
		t.broken = true
		t.offer.pass(t.open(), *t.signed(new(r.outOfPlace())))
	}
}

func (t *transaction) reset() error {
	if t.broken {
		return nil
	}
	_, err := t.ask("RSET")
	return err
}

// data sends the mail, for those who were accepted.
func (t *transaction) data(command string, willing bool) error {
	r, err := t.next(command)
	if err != nil {
		return err
	}
	if !r.more() {
		if willing && len(t.accepted) > 0 {
			t.hear(r, stageData, t.accepted)
		}
		return t.reset()
	}
	if len(t.accepted) == 0 {
		// A server that wants the mail though it has no recipient for it gets
		// an empty one (RFC 2920 section 3.1).
		_, err := t.ask(".")
		return err
	}
	return t.body()
}

// body sends the mail and takes the answer for the accepted.
func (t *transaction) body() error {
	wrote := t.write()
	wait := t.patience.End
	if wrote != nil {
		wait = goodbye // the server may have said why it does not read on
	}
	r, err := t.wire.reply(wait)
	switch {
	case err != nil && wrote == nil:
		// The server may have taken the mail. Nobody else is asked today, so
		// that it comes twice only if it must.
		t.broken = true
		t.offer.settle(t.accepted, t.unsure(err))
	case err != nil:
		return wrote
	case r.done() && wrote == nil:
		a := *t.signed(new(r.answer(stageEnd)))
		t.offer.settle(t.accepted, a)
		t.offer.taken(t.accepted, a)
	default:
		t.broken = wrote != nil
		t.hear(r, stageEnd, t.accepted)
	}
	return nil
}

func (t *transaction) unsure(err error) outgoing.Answer {
	a := t.lostAnswer(err)
	a.Text = plain("the mail was sent, and not answered: " + a.Text)
	return a
}

// block is how much of a mail is to leave within Patience.Block.
const block = 64 << 10

// write sends the mail, and the line that ends it.
func (t *transaction) write() error {
	for piece := range slices.Chunk(t.offer.stuffed(), block) {
		if err := t.wire.conn.SetWriteDeadline(time.Now().Add(t.patience.Block)); err != nil {
			return err
		}
		if _, err := t.wire.w.Write(piece); err != nil {
			return err
		}
	}
	return t.wire.send(t.patience.Block, ".")
}

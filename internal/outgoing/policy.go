package outgoing

import (
	"context"
	"fmt"
	"slices"

	"openmail"
	"openmail/internal/id"
)

// named is an address of a letter with the field that it stands in.
type named struct{ field, addr string }

// permitted asks the outbound policy of the sender about everybody whom a letter
// names: To, Cc with the copy that a reply adds, and Reply-To, to which an answer
// would go. One who is refused stops the whole letter, and a record says so.
func (o *Outgoing) permitted(ctx context.Context, d addressed) error {
	at := openmail.Scope{Account: d.inbox.Account, Pod: d.inbox.Pod, Inbox: d.inbox.ID}
	all := d.named()
	compared := each(all, func(n named) string { return o.compared(ctx, n.addr) })
	policies, err := o.c.Rules.PolicyFor(ctx, openmail.Scope{Account: at.Account}, openmail.Outbound, []openmail.Scope{at}, compared)
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	for i, n := range all {
		v := policies[0].Admits(compared[i])
		if v.Admitted {
			continue
		}
		if err := o.c.Rules.RecordRefusal(ctx, at, refusal(d, at, n.addr, v)); err != nil {
			return fmt.Errorf("record the refusal: %w", err)
		}
		return notPermitted(n, v)
	}
	return nil
}

// compared is the address that rules are compared with: of an inbox of this
// server the one without a tag, since every tag leads there.
func (o *Outgoing) compared(ctx context.Context, addr string) string {
	if ours, err := o.c.Ours(ctx, openmail.Address{Addr: addr}.Domain()); ours && err == nil {
		return openmail.BaseAddress(addr)
	}
	return addr
}

// named lists everybody whom a letter names. What is not in the request, but
// added, stands in no field.
func (d addressed) named() []named {
	all := []named{{"to", d.to.Addr}}
	for _, a := range d.cc {
		field := ""
		if slices.ContainsFunc(d.letter.cc, func(b openmail.Address) bool { return same(a.Addr, b.Addr) }) {
			field = "cc"
		}
		all = append(all, named{field, a.Addr})
	}
	for _, a := range d.replyTo {
		all = append(all, named{"replyTo", a.Addr})
	}
	return all
}

func refusal(d addressed, at openmail.Scope, addr string, v openmail.Verdict) openmail.PolicyRecord {
	return openmail.PolicyRecord{
		ID: id.At(openmail.PrefixRecord, d.now), At: at, Action: openmail.PolicyRefused, Direction: openmail.Outbound,
		Key: d.By, Rule: v.Rule, Address: addr, Reason: v.Reason, CreatedAt: d.now,
	}
}

func notPermitted(n named, v openmail.Verdict) error {
	why := "is not on the allowlist of recipients"
	if v.Reason == openmail.ReasonBlocked {
		why = "is blocked as a recipient"
	}
	return &openmail.Error{
		Code: openmail.CodeNotPermitted, Field: n.field, Type: v.Reason, Recipient: n.addr,
		Message: "An address of the mail " + why + ": nothing was sent.",
	}
}

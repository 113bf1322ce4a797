package app

import (
	"context"
	"fmt"
	"strings"

	"openmail"
	"openmail/internal/domains"
	"openmail/internal/mailauth"
	"openmail/internal/mailbox"
	"openmail/internal/outgoing"
	"openmail/internal/reach"
	"openmail/internal/smtpout"
)

// makeCarrier makes what carries mail to its recipients. web fetches what their
// domains publish.
func (a *App) makeCarrier(web smtpout.Documents) error {
	a.dkim = mailauth.NewSigner(a.store)
	if a.leaves() {
		sender, err := a.newTransport(web)
		if err != nil {
			return err
		}
		a.transport, a.noMail, a.signer = sender, sender.NoMail, a.dkim
	}
	a.carrier = outgoing.NewCarrier(outgoing.CarrierConfig{
		Queue: a.store, Held: a.store, Mails: a.store, Local: a.intake(), Transport: a.transport, Ours: a.ours, Hostname: a.config.hostname(), Logger: a.logger, Observe: a.metrics.carried,
	})
	return nil
}

// leaves reports whether mail goes to other domains. From a domain that exists
// on this machine only it goes nowhere unless the operator names a relay.
func (a *App) leaves() bool {
	local := a.config.Domain == "localhost" || strings.HasSuffix(a.config.Domain, ".localhost")
	return a.config.Relay != "none" && (a.config.Relay != "" || !local)
}

func (a *App) newTransport(web smtpout.Documents) (*smtpout.Sender, error) {
	c := smtpout.Config{
		Hostname: a.config.hostname(), Allow: a.config.SMTPAllow, DNS: a.config.SMTPDNS, Web: web, Log: a.logger,
	}
	if a.config.Relay != "" {
		relay, err := smtpout.ParseRelay(a.config.Relay)
		if err != nil {
			return nil, fmt.Errorf("--relay: %w", err)
		}
		c.Relay = relay
	}
	return smtpout.New(c)
}

// ours reports whether mail to a domain stays on this server: its own, and those
// of accounts whose mail comes here.
func (a *App) ours(ctx context.Context, domain string) (bool, error) {
	if domain == a.config.Domain {
		return true, nil
	}
	return a.store.ReceivesFor(ctx, openmail.Operator(), domain)
}

// makeDomains makes the room of the domains of accounts.
func (a *App) makeDomains(pods domains.Pods) *domains.Domains {
	a.domains = domains.New(domains.Config{
		Store: a.store, Due: a.store, Pods: pods, Names: reach.NewDNS(a.config.SMTPDNS), Keys: a.dkim,
		Hostname: a.config.hostname(), Own: []string{a.config.Domain, a.config.hostname()}, SPF: a.config.spf(),
		PerDay: a.config.limit(a.config.DomainsDay, 100), Logger: a.logger, Observe: a.metrics.domainChecked,
	})
	return a.domains
}

// spf is the mechanism that names where mail leaves from. Whose addresses a
// relay has is said by the record of the server's own domain.
func (c Config) spf() string {
	switch {
	case c.SPF != "":
		return c.SPF
	case c.Relay != "" && c.Relay != "none":
		return "include:" + c.Domain
	}
	return "a:" + c.hostname()
}

// inboxes are the store's, of which an account makes so many in a day.
func (a *App) inboxes() mailbox.Inboxes {
	if n := a.config.limit(a.config.InboxesDay, 100); n > 0 {
		return mailbox.Limited(a.store, a.store, n)
	}
	return a.store
}

func (a *App) outgoing(inboxes outgoing.Inboxes) *outgoing.Outgoing {
	return outgoing.New(outgoing.Config{
		Inboxes: inboxes, Store: a.store, Rules: a.store, Quotas: a.store,
		PerMinute: a.config.limit(a.config.SendsMinute, 10), PerDay: a.config.limit(a.config.SendsDay, 200),
		Cold: outgoing.Cold{
			Inbox: a.config.limit(a.config.ColdInbox, 20), NewAccount: a.config.limit(a.config.ColdNew, 150), Account: a.config.limit(a.config.Cold, 500),
		},
		Contacts: a.store,
		Signer:   a.signer, Ours: a.ours, NoMail: a.noMail, Relayed: a.transport != nil, Wake: a.carrier.Wake,
		MaxBytes: a.config.MaxMail, NeedKey: a.config.NeedSendKey,
	})
}

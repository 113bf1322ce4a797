package smtpout

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"openmail/internal/outgoing"
	"openmail/internal/reach"
)

// How much is tried in one Send.
const (
	maxAddresses = 10 // connections
	maxSessions  = 3  // of them, those in which a server talked to us
)

// Config is what a Sender is made of. The zero Config delivers by MX to the
// public internet.
type Config struct {
	Hostname string // what EHLO says; "": localhost
	Relay    Relay  // takes all mail; the zero Relay: it goes by MX
	// Allow opens mail servers that are refused otherwise, not being public:
	// host names, addresses and CIDRs.
	Allow    []string
	Port     uint16         // of mail servers; 0: 25
	DNS      []string       // name servers, host:port, whose word on signatures is believed; nil: the system's
	Web      Documents      // for MTA-STS; nil: policies are not looked for
	RootCAs  *x509.CertPool // nil: the system's
	Patience Patience
	Log      *slog.Logger // nil: none
}

// Sender implements outgoing.Transport. It is safe for concurrent use.
type Sender struct {
	hostname string
	relay    Relay
	port     uint16
	dialer   reach.Dialer
	dns      *reach.DNS
	sts      *sts
	roots    *x509.CertPool
	patience Patience
	log      *slog.Logger
}

// New makes a Sender. It fails on an entry of Allow that cannot be read.
func New(c Config) (*Sender, error) {
	s := &Sender{
		hostname: cmp.Or(c.Hostname, "localhost"),
		relay:    c.Relay,
		port:     cmp.Or(c.Port, 25),
		dns:      reach.NewDNS(c.DNS),
		roots:    c.RootCAs,
		patience: c.Patience.orDefault(),
		log:      cmp.Or(c.Log, slog.New(slog.DiscardHandler)),
	}
	s.sts = &sts{ask: s.dns.Ask, web: c.Web, log: s.log, domains: map[string]remembered{}}
	if !isHostName(s.hostname) && !isLiteral(s.hostname) {
		return nil, fmt.Errorf("the host name %q is not one to greet with", s.hostname)
	}
	var err error
	s.dialer.Guard, err = reach.New(reach.Config{
		Who: "mail", Ports: []reach.Ports{{First: s.port, Last: s.port}}, Allow: c.Allow,
	})
	return s, err
}

// Send implements outgoing.Transport.
//
// A recipient that a server has accepted or refused is done with. One that it
// has deferred is offered to the next server, as after a connection that failed,
// within bounds; the answer tells of the server that said most.
func (s *Sender) Send(ctx context.Context, p outgoing.Parcel) []outgoing.Answer {
	ctx, cancel := context.WithTimeout(ctx, s.patience.Whole)
	defer cancel()
	o := newOffer(p)
	switch {
	case len(o.open) == 0:
	case s.relay != Relay{}:
		s.byRelay(ctx, o)
	default:
		s.byMX(ctx, o)
	}
	return o.answers
}

// hop is one connection to make.
type hop struct {
	name     string // of the server
	addr     string // host:port
	security security
	dialer   reach.Dialer
	relay    Relay // that it leads to; the zero Relay: a mail server of the domain
}

// byMX offers the mail to the servers of its domain.
func (s *Sender) byMX(ctx context.Context, o *offer) {
	hosts, fault := s.route(ctx, o.domain)
	if fault != nil {
		o.pass(o.open, *fault)
		return
	}
	o.policy, o.enforced = s.sts.enforced(ctx, o.domain)
	for _, h := range hosts {
		if o.tired(ctx) {
			return
		}
		if fault := s.toHost(ctx, o, h); fault != nil {
			o.pass(o.open, *fault)
		}
	}
}

// toHost offers the mail at the addresses of one server, or says why it does not.
func (s *Sender) toHost(ctx context.Context, o *offer, h exchanger) *outgoing.Answer {
	at, fault := s.places(ctx, h)
	if fault != nil {
		return fault
	}
	security, fault := s.protection(ctx, o, h, at)
	if fault != nil {
		return fault
	}
	dialer := s.dialer
	if dialer.Guard.OpensName(h.name, s.port) {
		dialer = reach.Dialer{} // where it leads is the operator's business
	}
	for _, ip := range at.addrs {
		if o.tired(ctx) {
			break
		}
		o.addresses++
		addr := net.JoinHostPort(ip.String(), strconv.Itoa(int(s.port)))
		s.toHop(ctx, o, hop{name: h.name, addr: addr, security: security, dialer: dialer})
	}
	return nil
}

// toHop has one conversation. Where TLS is only better than nothing, one that
// fails is followed by a conversation in clear.
func (s *Sender) toHop(ctx context.Context, o *offer, h hop) {
	c, fault := s.open(ctx, h)
	if fault != nil && fault.handshake && !h.security.required {
		s.log.DebugContext(ctx, "mail.tls", "host", h.name, "fault", fault.answer.Text)
		h.security.never = true
		c, fault = s.open(ctx, h)
	}
	if fault != nil {
		if fault.talked {
			o.sessions++
		}
		if h.relay != (Relay{}) {
			fault.answer = ours(fault.answer)
		}
		o.pass(o.open, fault.answer)
		return
	}
	o.sessions++
	defer c.close()
	for again := true; again; {
		again = c.transact(o)
	}
}

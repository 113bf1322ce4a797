// Package doctor looks at a server from the machine that it runs on: at its
// ports, its certificates, its disk, and at what the DNS says of it. For each it
// says what is so, and for what is wrong, what to do.
package doctor

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"openmail"
	"openmail/internal/domains"
	"openmail/internal/reach"
)

// patience is how long one check may take.
const patience = 25 * time.Second

// Server is what a server tells of itself. None of it is secret.
type Server struct {
	Domain   string               `json:"domain"`
	Hostname string               `json:"hostname"`
	SMTP     string               `json:"smtp"`            // where it listens
	HTTPS    string               `json:"https,omitempty"` // "" when it does not
	Site     string               `json:"site,omitempty"`  // the name that HTTPS is asked for by
	Leaves   bool                 `json:"leaves"`          // mail to other domains has a way out
	Relay    string               `json:"relay,omitempty"` // host:port; "": mail goes by MX
	SPF      string               `json:"spf,omitempty"`   // the mechanism that the domain's record must have; "": not known
	DKIM     []openmail.DNSRecord `json:"dkim,omitempty"`
	DNS      []string             `json:"dns,omitempty"` // its name servers; none: those of the system
}

// local reports whether a server is on a domain that the internet does not know.
func (s Server) local() bool {
	return s.Domain == "localhost" || strings.HasSuffix(s.Domain, ".localhost")
}

// Status says how bad a finding is.
type Status string

// The statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn" // it works, or could not be looked at
	Fail Status = "fail"
)

// Check is one finding.
type Check struct {
	Name    string
	Status  Status
	Message string // what is so, or what is wrong and what to do
}

// Names is the domain name system. An error is a question without an answer, for
// now.
type Names interface {
	domains.Names
	// Addrs returns the addresses of a name; none when there are none.
	Addrs(ctx context.Context, name string) ([]netip.Addr, error)
	// Reverse returns the names of an address, in lower case without a final
	// dot; none when there are none.
	Reverse(ctx context.Context, ip netip.Addr) ([]string, error)
}

// Documents are what the web has.
type Documents interface {
	// Get returns a document of at most limit bytes and its media type, by
	// https with a certificate that is valid for the host, and without
	// following a redirect. Everything but status 200 is an error.
	Get(ctx context.Context, url string, limit int64) (mediaType string, body []byte, err error)
}

// Config is what Examine works with.
type Config struct {
	Server Server
	Data   string // the data folder
	Names  Names
	Web    Documents
	// Probe is a domain to whose mail server it is seen whether port 25 is open
	// on the way out; "": that is not looked at.
	Probe string
	Roots *x509.CertPool // nil: the system's
	// Dial connects; nil: as usual.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// part is what is looked at by itself.
type part func(ctx context.Context) []Check

// Examine looks at everything at the same time, and tells it in one order.
func Examine(ctx context.Context, c Config) []Check {
	if c.Dial == nil {
		c.Dial = reach.Dialer{}.Dial
	}
	parts := []part{c.disk, c.smtp, c.https}
	if c.Server.local() {
		parts = append(parts, c.nowhere)
	} else {
		parts = append(parts, c.port, c.addresses, c.records, c.sts)
	}
	parts = append(parts, c.way)
	found := make([][]Check, len(parts))
	var all sync.WaitGroup
	for i, p := range parts {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			found[i] = p(ctx)
		})
	}
	all.Wait()
	return slices.Concat(found...)
}

func one(name string, s Status, message string) []Check { return []Check{{name, s, message}} }

// nowhere is the finding for a domain that only this machine knows.
func (c Config) nowhere(context.Context) []Check {
	return one("dns", OK, c.Server.Domain+" needs no records: it is on this machine only. For mail from the internet, --domain")
}

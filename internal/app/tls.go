package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"openmail"
	"openmail/api"
	"openmail/internal/certs"
	"openmail/internal/httpapi"
)

// checkTLS holds the settings of TLS against one another.
func checkTLS(c Config) error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key belong together: give both, or neither for a self-signed certificate")
	}
	if !c.ACME {
		return nil
	}
	if c.TLSCert != "" {
		return errors.New("--acme and --tls-cert exclude one another: either ACME gets the certificate, or it stands in the file")
	}
	for _, name := range c.names() {
		if err := certs.CheckName(name); err != nil {
			return fmt.Errorf("--acme needs names that a CA can vouch for, in --hostname (or --domain) and in --public-url: %w", err)
		}
	}
	return nil
}

// hostname is the server's own name.
func (c Config) hostname() string { return cmp.Or(c.Hostname, c.Domain) }

// names are the names that clients call the server by. The mail domain is one
// only if the server is called so: its address is often another machine's.
func (c Config) names() []string {
	names := []string{strings.ToLower(c.hostname())}
	if u, err := url.Parse(c.PublicURL); err == nil && u.Hostname() != "" {
		if name := strings.ToLower(u.Hostname()); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// secure takes the HTTPS port, if there is to be one, and loads the certificates.
func (a *App) secure(ctx context.Context) (err error) {
	if a.config.HTTPS != "" {
		var lc net.ListenConfig
		if a.https, err = lc.Listen(ctx, "tcp", a.config.HTTPS); err != nil {
			return portTaken(err, "https", a.config.HTTPS)
		}
		a.atClose(func() error { return ignoreClosed(a.https.Close()) })
		a.links.PublicURL = cmp.Or(a.config.PublicURL, a.httpsURL())
	}
	c := certs.Config{
		Dir: a.folder.path, Hostname: strings.ToLower(a.config.hostname()), Logger: a.logger,
		CertFile: a.config.TLSCert, KeyFile: a.config.TLSKey,
	}
	if c.ACME, err = a.acme(); err != nil {
		return err
	}
	if a.certs, err = certs.New(c); err != nil {
		return err
	}
	a.atClose(a.certs.Close)
	return nil
}

// acme is the settings of ACME; nil when it is off.
func (a *App) acme() (*certs.ACME, error) {
	if !a.config.ACME {
		return nil, nil
	}
	roots, err := readRoots(a.config.ACMERoots)
	if err != nil {
		return nil, err
	}
	c := &certs.ACME{
		Names: a.config.names(), Email: a.config.ACMEEmail, Directory: a.config.ACMEDirectory, Roots: roots,
		HTTP: a.listener.Addr(),
	}
	if a.https != nil {
		c.HTTPS = a.https.Addr()
	}
	return c, nil
}

// readRoots reads a file of certificates; nil for none, which is the system's.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("OPENMAIL_ACME_ROOTS: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("OPENMAIL_ACME_ROOTS: %s holds no certificate in PEM", file)
	}
	return roots, nil
}

// httpsURL is where HTTPS answers, by the name that is in the certificate.
func (a *App) httpsURL() string {
	_, port, _ := net.SplitHostPort(a.https.Addr().String())
	if port == "443" {
		return "https://" + a.config.hostname()
	}
	return "https://" + net.JoinHostPort(a.config.hostname(), port)
}

// ports are where HTTP is answered, plain and not.
func (a *App) ports() []net.Listener {
	if a.https == nil {
		return []net.Listener{a.listener}
	}
	return []net.Listener{a.listener, tls.NewListener(a.https, a.certs.HTTPS())}
}

// serveAll answers on every port until Shutdown, which is http.ErrServerClosed,
// or until one port fails.
func (a *App) serveAll() error {
	var g errgroup.Group
	for _, l := range a.ports() {
		g.Go(func() error {
			err := a.http.Serve(l)
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return errors.Join(err, a.http.Close()) // and the others
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return http.ErrServerClosed
}

// passage is what becomes of a request.
type passage int

const (
	served passage = iota
	redirected
	refused
)

// passageOf decides about a request to a server that has HTTPS. Over the plain
// port it is served from this machine, and where it asks for what is nobody's
// secret. What carries a key, or may carry one, is refused: a redirect would let
// the client go on sending it in clear, and with a query put it into one more URL.
func passageOf(r *http.Request) passage {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case r.TLS != nil, fromHere(r), reads && slices.Contains([]string{"/health", "/ready", "/metrics"}, r.URL.Path):
		return served
	case reads && r.URL.RawQuery == "" && r.Header.Get("Authorization") == "" && r.Header.Get("Upgrade") == "":
		return redirected
	}
	return refused
}

// fromHere reports whether a request comes from this machine. One that a proxy
// here passes on comes from elsewhere, unless that proxy says that it came by
// HTTPS.
func fromHere(r *http.Request) bool {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !remote.Addr().Unmap().IsLoopback() && !ownAddress(r, remote.Addr()) {
		return false
	}
	passedOn := r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != ""
	return !passedOn || r.Header.Get("X-Forwarded-Proto") == "https"
}

// ownAddress reports whether a connection comes from the address that it goes to.
func ownAddress(r *http.Request, remote netip.Addr) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.AddrPort().Addr().Unmap() == remote.Unmap()
}

// guardPlain stands before the doors: a CA's challenge is answered, and what may
// not go over the plain port is kept from it.
func (a *App) guardPlain(next http.Handler) http.HandlerFunc {
	secure := a.links.PublicURL
	if a.https != nil && !strings.HasPrefix(secure, "https://") {
		secure = a.httpsURL()
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if a.certs.Challenge(w, r) {
			return
		}
		p := served
		if a.https != nil {
			p = passageOf(r)
		}
		switch p {
		case served:
			next.ServeHTTP(w, r)
		case redirected:
			http.Redirect(w, r, secure+r.URL.EscapedPath(), http.StatusPermanentRedirect)
		case refused:
			refusePlain(w, secure)
		}
	}
}

// refusePlain tells a client to use HTTPS, and ends the connection, so that no
// more keys come over it.
func refusePlain(w http.ResponseWriter, secure string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Connection", "close")
	w.WriteHeader(httpapi.Status(openmail.CodeHTTPSRequired))
	_ = json.NewEncoder(w).Encode(api.Error{
		Code:    string(openmail.CodeHTTPSRequired),
		Message: "This port is not encrypted: use " + secure + ". A key that was sent here in clear should be revoked.",
	})
}

// certificates tells until when each certificate is good.
func (p *parts) certificates(e emit) {
	for _, c := range p.a.certs.Expiries() {
		e(prometheus.GaugeValue, "openmail_certificate_expires_seconds", "When the certificate for a name ends, in seconds since 1970.",
			float64(c.At.Unix()), "name", c.Name, "source", c.Source)
	}
}

package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// acmeFolder holds account, keys and certificates, below the data folder.
const acmeFolder = "acme"

// askAgain is when a name is taken up again that was given up: because the CA
// has said no for good, or nothing else for a month.
const askAgain = time.Hour

// ACME is how certificates are got from a CA. Who gives one accepts the terms of
// the CA.
type ACME struct {
	Names     []string       // that the server has, each of which CheckName does not refuse
	Email     string         // for the CA to write to; "" for none
	Directory string         // URL of the CA's directory; "" for Let's Encrypt
	Roots     *x509.CertPool // that the CA's own HTTPS is checked against; nil: the system's

	HTTP  net.Addr // where Challenge is asked, for HTTP-01
	HTTPS net.Addr // where HTTPS serves, for TLS-ALPN-01; nil when it does not

	renewEvery time.Duration // how often is looked whether to renew; 0: every ten minutes
	renewAt    float64       // the part of a certificate's life that is left when it is renewed; 0: a third
}

// manager has the certificates of some names from a CA.
type manager struct {
	names    []string
	hostname string
	logger   *slog.Logger
	cache    *certmagic.Cache
	config   *certmagic.Config
	issuer   *certmagic.ACMEIssuer
	storage  *storage
	stop     func()
	clean    func(string) string // takes out what no log may have
}

// newManager loads what is stored.
func newManager(c Config) (*manager, error) {
	m := &manager{
		names: c.ACME.Names, hostname: c.Hostname, logger: c.Logger,
		storage: newStorage(filepath.Join(c.Dir, acmeFolder)),
	}
	bridge := &core{LevelEnabler: zapcore.WarnLevel, logger: c.Logger, email: c.ACME.Email}
	m.clean = bridge.clean
	zapped := zap.New(bridge)
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return m.config, nil },
		RenewCheckInterval: c.ACME.renewEvery, Logger: zapped,
	})
	m.stop = sync.OnceFunc(func() { stopWithin(m.cache, drainFor) })
	m.config = certmagic.New(m.cache, certmagic.Config{
		Storage: m.storage, Logger: zapped, OnEvent: m.told, RenewalWindowRatio: c.ACME.renewAt,
		// It would ask wherever a certificate says, and Let's Encrypt, for one,
		// says nothing.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	var err error
	if m.issuer, err = newIssuer(m.config, c.ACME, zapped); err != nil {
		m.stop()
		return nil, err
	}
	m.config.Issuers = []certmagic.Issuer{m.issuer}
	for _, name := range m.names {
		if err := m.recall(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			m.logger.Error("certificate.unreadable", "name", name, "folder", m.storage.Path, "error", err)
		}
	}
	return m, nil
}

// stopWithin ends what the cache does by itself. It may be asking a CA that does
// not answer, which nothing can end; nobody is to wait for that.
func stopWithin(cache *certmagic.Cache, d time.Duration) {
	stopped := make(chan struct{})
	go func() {
		cache.Stop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(d):
	}
}

// newIssuer is the CA. certmagic opens a port of its own where nobody listens, so
// it is told where we do.
func newIssuer(config *certmagic.Config, c *ACME, logger *zap.Logger) (*certmagic.ACMEIssuer, error) {
	template := certmagic.ACMEIssuer{
		CA: c.Directory, Email: c.Email, Agreed: true, TrustedRoots: c.Roots, Logger: logger,
		DisableDistributedSolvers: true, DisableTLSALPNChallenge: c.HTTPS == nil,
	}
	if c.Directory == "" {
		template.CA = certmagic.LetsEncryptProductionCA
	}
	destinations := []string{template.CA}
	if template.CA == certmagic.LetsEncryptProductionCA { // after a failure, certmagic tries its staging first
		template.TestCA = certmagic.LetsEncryptStagingCA
		destinations = append(destinations, template.TestCA)
	}
	var err error
	if template.HTTPProxy, err = onlyTo(destinations...); err != nil {
		return nil, err
	}
	http, err := netAddr(c.HTTP)
	if err != nil {
		return nil, err
	}
	template.ListenHost, template.AltHTTPPort = http.IP.String(), http.Port
	if c.HTTPS != nil {
		https, err := netAddr(c.HTTPS)
		if err != nil {
			return nil, err
		}
		template.AltTLSALPNPort = https.Port
	}
	return certmagic.NewACMEIssuer(config, template), nil
}

func netAddr(a net.Addr) (*net.TCPAddr, error) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("%v is not a TCP address", a)
	}
	return tcp, nil
}

// onlyTo lets requests out to the hosts of some URLs, by HTTPS, and nowhere else:
// what a CA's answers or redirects name is not followed to another host. It is
// the one place where the HTTP client of ACME can be held.
func onlyTo(urls ...string) (func(*http.Request) (*url.URL, error), error) {
	var hosts []string
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("%q is not an https:// URL", s)
		}
		hosts = append(hosts, u.Host)
	}
	return func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme != "https" || !slices.Contains(hosts, r.URL.Host) {
			return nil, fmt.Errorf("the CA leads to %s, which is not its directory's host", r.URL.Host)
		}
		return http.ProxyFromEnvironment(r)
	}, nil
}

// recall loads what was stored for a name; fs.ErrNotExist when nothing was.
func (m *manager) recall(name string) error {
	_, err := m.config.CacheManagedCertificate(context.Background(), name)
	return err
}

func (m *manager) close() {
	m.stop()
	m.storage.close()
}

// run gets what is missing and renews what is due, until ctx ends.
func (m *manager) run(ctx context.Context) {
	var g sync.WaitGroup
	for _, name := range m.names {
		if m.newest(name) == nil {
			m.logger.Info("certificate.wanted", "name", name, "meanwhile", "self-signed")
			g.Go(func() { m.obtain(ctx, name) })
		}
	}
	// What fell due while nothing ran; later the cache sees to it.
	g.Go(func() { _ = m.cache.RenewManagedCertificates(ctx) })
	<-ctx.Done()
	m.stop()
	g.Wait()
	m.storage.drain()
}

// obtain gets the first certificate of a name. certmagic tries for a month, less
// and less often.
func (m *manager) obtain(ctx context.Context, name string) {
	for {
		err := m.rest(ctx, name)
		if err == nil {
			err = m.config.ObtainCertAsync(ctx, name)
		}
		if err == nil {
			m.gotten(ctx, name)
			err = m.recall(name)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		m.logger.Error("certificate.given_up", "name", name, "error", m.clean(err.Error()), "tried_again_in", askAgain)
		select {
		case <-ctx.Done():
			return
		case <-time.After(askAgain):
		}
	}
}

// told is what certmagic tells while it works; what fails, it logs itself.
func (m *manager) told(_ context.Context, event string, data map[string]any) error {
	if event == "cert_obtained" {
		m.logger.Info("certificate.obtained", "name", data["identifier"], "renewal", data["renewal"])
	}
	return nil
}

// serving is the certificate for a name, or for the hostname; nil when there is
// none yet.
func (m *manager) serving(name string) *tls.Certificate {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if slices.Contains(m.names, name) {
		if cert := m.newest(name); cert != nil {
			return cert
		}
	}
	return m.newest(m.hostname)
}

func (m *manager) newest(name string) (newest *tls.Certificate) {
	for _, c := range m.cache.AllMatchingCertificates(name) {
		if newest == nil || c.Leaf.NotAfter.After(newest.Leaf.NotAfter) {
			newest = &c.Certificate
		}
	}
	return newest
}

func (m *manager) expiries(own *tls.Certificate) (list []Expiry) {
	for _, name := range m.names {
		if cert := m.newest(name); cert != nil {
			list = append(list, Expiry{name, "acme", cert.Leaf.NotAfter})
		} else {
			list = append(list, Expiry{name, "self-signed", own.Leaf.NotAfter})
		}
	}
	return list
}

// challengePath is RFC 8555 section 8.3's.
const challengePath = "/.well-known/acme-challenge/"

func challenge(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, challengePath) {
		return false
	}
	c, ok := certmagic.GetACMEChallenge(r.Host)
	if !ok || c.Type != acme.ChallengeTypeHTTP01 || !certmagic.SolveHTTPChallenge(zap.NewNop(), w, r, c.Challenge) {
		http.Error(w, "No CA was asked about that.", http.StatusNotFound)
	}
	return true
}

// prove is the certificate by which a CA sees that this server has a name (RFC
// 8737 section 3). There is one only while this process has asked for it.
func prove(name string) (*tls.Certificate, error) {
	c, ok := certmagic.GetACMEChallenge(name)
	if !ok || c.Type != acme.ChallengeTypeTLSALPN01 {
		return nil, errors.New("no CA was asked about that name")
	}
	return acmez.TLSALPN01ChallengeCert(c.Challenge)
}

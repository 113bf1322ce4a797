package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// lookEvery is how often the files are looked at, which costs next to nothing.
const lookEvery = 15 * time.Second

// pair is a certificate and its key in two files, which another program renews
// while the server runs.
type pair struct {
	certFile, keyFile string
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]

	loaded, refused stamp // of what is current; of what could not be loaded
}

// stamp tells one state of the two files from another.
type stamp struct {
	cert, key         time.Time
	certSize, keySize int64
}

// newPair loads the files; later they are only loaded when they have changed.
func newPair(certFile, keyFile string, logger *slog.Logger) (*pair, error) {
	p := &pair{certFile: certFile, keyFile: keyFile, logger: logger}
	now, err := p.look()
	if err == nil {
		err = p.load(now)
	}
	if err != nil {
		return nil, fmt.Errorf("load TLS certificate: %w", err)
	}
	return p, nil
}

func (p *pair) look() (s stamp, err error) {
	cert, err := os.Stat(p.certFile)
	if err != nil {
		return s, err
	}
	key, err := os.Stat(p.keyFile)
	if err != nil {
		return s, err
	}
	return stamp{cert.ModTime(), key.ModTime(), cert.Size(), key.Size()}, nil
}

// load makes the files current, if they are whole and belong together. now is
// what they looked like before: what is written meanwhile is seen the next time.
func (p *pair) load(now stamp) error {
	cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return err
	}
	p.current.Store(&cert)
	p.loaded, p.refused = now, stamp{}
	return nil
}

func (p *pair) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.reload()
		}
	}
}

// reload loads the files if they are new. While they cannot be loaded, the old
// certificate stays, and that is told once for each state of the files: the other
// program may be about to write the second of the two.
func (p *pair) reload() {
	now, err := p.look()
	if err == nil && now == p.loaded {
		return
	}
	if err == nil {
		err = p.load(now)
	}
	switch {
	case err == nil:
		leaf := p.current.Load().Leaf
		p.logger.Info("certificate.loaded", "names", leaf.DNSNames, "expires", leaf.NotAfter)
	case now != p.refused || now == stamp{}:
		p.refused = now
		p.logger.Warn("certificate.refused", "error", err, "kept_until", p.current.Load().Leaf.NotAfter)
	}
}

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"openmail/internal/doctor"
	"openmail/internal/reach"
	"openmail/internal/smtpout"
	"openmail/internal/webhook"
)

// serverFile is what the server that runs, or last ran, tells of itself.
const serverFile = "server.json"

// maxServerFile bounds what is read of it.
const maxServerFile = 64 << 10

// describe writes down what the server is, for Diagnose. The keys of its domain
// are made now, so that they can be published before the first mail leaves.
func (a *App) describe(ctx context.Context) error {
	at := a.Addresses()
	s := doctor.Server{
		Domain: a.config.Domain, Hostname: strings.ToLower(a.config.hostname()), SMTP: at.SMTP, HTTPS: at.HTTPS,
		Leaves: a.leaves(), DNS: a.config.SMTPDNS, SPF: a.config.SPF,
	}
	if u, err := url.Parse(a.links.PublicURL); err == nil {
		s.Site = u.Hostname()
	}
	if s.Leaves && a.config.Relay != "" {
		relay, err := smtpout.ParseRelay(a.config.Relay)
		if err != nil {
			return err
		}
		s.Relay = relay.Addr()
	} else if s.SPF == "" {
		s.SPF = a.config.spf()
	}
	if s.Leaves {
		var err error
		if s.DKIM, err = a.dkim.Records(ctx, a.config.Domain); err != nil {
			return fmt.Errorf("the signing keys of %s: %w", a.config.Domain, err)
		}
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return a.folder.write(serverFile, string(b)+"\n", 0o644)
}

// Diagnose looks at the server that keeps its data in that folder, from beside
// it; no findings when none ever ran there. probe is doctor.Config's.
func Diagnose(ctx context.Context, data, probe string) ([]doctor.Check, error) {
	f, err := os.Open(filepath.Join(data, serverFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var s doctor.Server
	if err := json.NewDecoder(io.LimitReader(f, maxServerFile)).Decode(&s); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	web, err := webhook.New(webhook.Config{UserAgent: "OpenMail", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer web.Close()
	return doctor.Examine(ctx, doctor.Config{Server: s, Data: data, Names: reach.NewDNS(s.DNS), Web: web, Probe: probe}), nil
}

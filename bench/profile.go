package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"

	"openmail/internal/app"
)

func profileProof() proof {
	return proof{name: "profile", about: "the server in this process, with a CPU profile of it under 64 sessions", run: profileServer}
}

// profileServer runs the server in this process, so that its profile can be
// taken without a debugging door in the product. The load comes from another.
func profileServer(ctx context.Context, b *bench) (err error) {
	if err := b.needHarness(ctx); err != nil {
		return err
	}
	data, log, err := b.folder()
	if err != nil {
		return err
	}
	defer log.Close()
	a, err := newApp(ctx, data, log)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(serving) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	s := &server{data: data, http: a.Addresses().HTTP, smtp: a.Addresses().SMTP, key: a.NewKey()}
	if _, err := s.makeInboxes(ctx, inboxes); err != nil {
		return err
	}
	return b.profiled(ctx, s)
}

func newApp(ctx context.Context, data string, log *os.File) (*app.App, error) {
	flags := map[string]string{"data": data, "domain": domain, "http": "127.0.0.1:0", "smtp": "127.0.0.1:0"}
	config, _, err := app.Load(
		func(name string) string { return map[string]string{"OPENMAIL_LIMITS": "off"}[name] },
		func(name string) (string, bool) { v, ok := flags[name]; return v, ok })
	if err != nil {
		return nil, err
	}
	return app.New(ctx, config, "bench", slog.New(slog.NewJSONHandler(log, nil)))
}

func (b *bench) profiled(ctx context.Context, s *server) error {
	f, err := os.Create(b.profile)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	n := 30000
	if b.attach > 0 {
		n /= 10
	}
	r, err := b.drive(ctx, "smtpload", append(s.smtpArgs(inboxes, 64, n), "-attach", strconv.Itoa(b.attach))...)
	pprof.StopCPUProfile()
	if err != nil {
		return err
	}
	b.report.add("mails", "", bar{}, r.Sent)
	b.report.add("rate", "/s", bar{}, r.Rate)
	b.report.note("go tool pprof -top %s", filepath.Clean(b.profile))
	return nil
}

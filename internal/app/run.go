package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// part is one long-lived part of the server. Its Run returns when ctx ends, or
// with an error that ends the server.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// Run serves until ctx ends or a part fails, then stops everything in order:
// no new mail and no new requests, what is in flight is finished, sockets are
// told to come back later, and only then the store is closed. It calls Close.
func (a *App) Run(ctx context.Context) error {
	if err := a.announce(ctx); err != nil {
		return errors.Join(err, a.Close())
	}
	// What writes for the others outlives them.
	inner, stopInner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInner()
	outer, stopOuter := context.WithCancel(ctx)
	defer stopOuter()
	below := start(inner, stopOuter, a.logger, []part{
		{"store", a.store.Run}, {"receipts", a.sockets.Run}, {"access", a.access.Run},
	})
	serving := []part{
		{"certificates", a.certs.Run},
		{"smtp", a.smtp.Run},
		{"http", a.serveHTTP},
		{"stream", a.stream.Run},
		{"dispatcher", a.dispatcher.Run},
		{"carrier", a.carrier.Run},
		{"domains", a.domains.Run},
	}
	if a.admin != nil {
		serving = append(serving, part{"admin", a.admin.Run})
	}
	above := start(outer, stopOuter, a.logger, serving)
	err := above.Wait()
	stopInner()
	err = errors.Join(err, below.Wait())
	a.logger.Info("server.stopped")
	return errors.Join(err, a.Close())
}

// start runs the parts. The first that fails ends the others, and calls failed.
func start(ctx context.Context, failed func(), logger *slog.Logger, parts []part) *errgroup.Group {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range parts {
		g.Go(func() error {
			err := p.run(ctx)
			if err != nil {
				logger.Error("server.failed", "part", p.name, "error", err)
				failed()
				return fmt.Errorf("%s: %w", p.name, err)
			}
			return nil
		})
	}
	return g
}

// announce tells where the server listens, now that it does.
func (a *App) announce(ctx context.Context) error {
	addresses := a.Addresses()
	if err := a.describe(ctx); err != nil {
		return err
	}
	if err := a.folder.writeAddresses(addresses); err != nil {
		return err
	}
	a.logger.LogAttrs(ctx, slog.LevelInfo, "server.started",
		slog.String("version", a.version), slog.String("http", addresses.HTTP), slog.String("https", addresses.HTTPS), slog.String("smtp", addresses.SMTP),
		slog.String("public_url", a.links.PublicURL), slog.String("domain", a.config.Domain), slog.String("data", a.folder.path))
	if a.reader != nil {
		t := a.reader.Tools()
		a.logger.LogAttrs(ctx, slog.LevelInfo, "extract.tools", slog.String("pdftotext", t.PDFToText), slog.String("tesseract", t.Tesseract))
	}
	return nil
}

// drainHTTP is how long requests may take to end when the server stops.
const drainHTTP = 10 * time.Second

func (a *App) serveHTTP(ctx context.Context) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainHTTP)
		defer cancel()
		stopped <- a.http.Shutdown(drain)
	})
	if err := a.serveAll(); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	if err := <-stopped; errors.Is(err, context.DeadlineExceeded) {
		return a.http.Close()
	} else if err != nil {
		return err
	}
	return nil
}

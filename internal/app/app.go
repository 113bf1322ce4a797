// Package app is the only place where everything knows everything: it reads the
// settings, makes the parts, ties them together, and runs them.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/access"
	"openmail/internal/admin"
	"openmail/internal/bell"
	"openmail/internal/blob"
	"openmail/internal/certs"
	"openmail/internal/delivery"
	"openmail/internal/dispatch"
	"openmail/internal/domains"
	"openmail/internal/extract"
	"openmail/internal/httpapi"
	"openmail/internal/intake"
	"openmail/internal/mailauth"
	"openmail/internal/mailbox"
	"openmail/internal/outgoing"
	"openmail/internal/smtpd"
	"openmail/internal/store"
	"openmail/internal/webhook"
	"openmail/internal/ws"
)

// App is a server that listens, and works while Run runs.
type App struct {
	config  Config
	logger  *slog.Logger
	version string
	cleanup []func() error // what New has opened, to be closed in reverse

	folder   *folder
	listener net.Listener
	https    net.Listener // nil: none
	links    api.Links
	certs    *certs.Certificates

	store      *store.DB
	bell       *bell.Local
	listeners  *dispatch.Listeners
	dispatcher *dispatch.Dispatcher
	sockets    *dispatch.Sockets
	access     *access.Access
	carrier    *outgoing.Carrier
	transport  outgoing.Transport                   // nil: there is no way to other domains
	noMail     func(context.Context, string) string // nil where mail goes nowhere
	dkim       *mailauth.Signer
	signer     outgoing.Signer // nil: nothing is signed
	domains    *domains.Domains
	smtp       *smtpd.Server
	admin      *admin.Server // nil: there is no room for its socket
	stream     *ws.Server
	rest       *httpapi.Server
	http       *http.Server
	metrics    *metrics
	reader     *extract.Pool // nil: attachments are not read
	newKey     string        // made by this start; "" otherwise
}

// New takes the data folder and the ports, opens the store and makes every
// part. Nobody is served before Run. Close it when Run was not called.
func New(ctx context.Context, c Config, version string, logger *slog.Logger) (*App, error) {
	a := &App{config: c, logger: logger, version: version}
	for _, step := range []func(context.Context) error{
		a.takeFolder, a.listen, a.secure, a.openStore, a.makeRooms, a.makeDoors, a.firstKey,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return a, nil
}

// Close gives everything back that New took.
func (a *App) Close() error {
	var errs []error
	for i := len(a.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, a.cleanup[i]())
	}
	a.cleanup = nil
	return errors.Join(errs...)
}

func (a *App) atClose(f func() error) { a.cleanup = append(a.cleanup, f) }

func (a *App) takeFolder(context.Context) (err error) {
	if a.folder, err = openFolder(a.config.Data); err != nil {
		return err
	}
	a.atClose(a.folder.close)
	return nil
}

// listen takes the HTTP port: the links in events need to know it.
func (a *App) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if a.listener, err = lc.Listen(ctx, "tcp", a.config.HTTP); err != nil {
		return portTaken(err, "http", a.config.HTTP)
	}
	a.atClose(func() error { return ignoreClosed(a.listener.Close()) })
	a.links = api.Links{PublicURL: a.config.PublicURL}
	if a.links.PublicURL == "" {
		a.links.PublicURL = "http://" + a.listener.Addr().String()
	}
	return nil
}

// portTaken says what to do about a port that cannot be had.
func portTaken(err error, flag, addr string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the address %s is taken by another program: stop that, or choose another with --%s", addr, flag)
	}
	return fmt.Errorf("cannot listen on %s (--%s): %w", addr, flag, err)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (a *App) openStore(ctx context.Context) error {
	key, err := a.folder.fileKey()
	if err != nil {
		return err
	}
	blobs, err := blob.NewFiles(a.folder.file("blobs"))
	if err != nil {
		return err
	}
	a.atClose(blobs.Close)
	rules := delivery.DefaultRules()
	rules.Deadline = a.config.ReceiptDeadline
	maxInboxes := a.config.MaxInboxes
	if !a.config.Limits {
		maxInboxes = 0
	}
	a.store, err = store.Open(ctx, store.Config{
		Rules: rules, MaxInboxes: maxInboxes,
		Database: a.config.Database, Dir: a.folder.path, Blobs: blobs, Links: a.links, FileKey: key, Logger: a.logger,
		Retention: store.Retention{Events: a.config.RetainEvents, Messages: a.config.RetainMessages, Trash: a.config.RetainTrash, Audit: a.config.RetainAudit},
	})
	if err != nil {
		return err
	}
	a.atClose(a.store.Close)
	return nil
}

// makeRooms makes what the system does.
func (a *App) makeRooms(context.Context) error {
	a.bell = bell.NewLocal()
	a.listeners = dispatch.NewListeners()
	sender, err := webhook.New(webhook.Config{Allow: a.config.WebhookAllow, UserAgent: "OpenMail/" + a.version, Log: a.logger})
	if err != nil {
		return err
	}
	a.atClose(func() error { sender.Close(); return nil })
	a.metrics = newMetrics(a)
	a.makeReader()
	a.sockets = dispatch.NewSockets(a.listeners, a.store, a.store, a.logger, a.metrics.receipt)
	a.dispatcher = dispatch.New(dispatch.Config{
		Queue: a.store, Poster: sender, Listeners: a.listeners, Sockets: a.sockets, Logger: a.logger, Posted: a.metrics.posted,
	})
	rooms := a.mailbox()
	a.access = access.New(access.Config{
		Keys: a.store, Uses: a.store, Accounts: a.store, Inboxes: rooms, Logger: a.logger,
		OnRevoke: func(key string) { a.stream.Revoke(key) },
	})
	if err := a.makeCarrier(sender); err != nil {
		return err
	}
	a.rest = httpapi.New(a.restConfig(target{sender}, rooms))
	return nil
}

// makeReader makes what reads attachments.
func (a *App) makeReader() {
	if !a.config.Extract || a.config.Program == "" {
		return
	}
	a.reader = extract.NewPool(extract.Config{
		Program: a.config.Program, Processes: a.config.ExtractProcesses, Tools: extract.FindTools(),
		Logger: a.logger, Observe: a.metrics.extracted,
	})
}

// target lets a Sender also make secrets, as dispatch wants it.
type target struct{ *webhook.Sender }

func (target) NewSecret() string { return webhook.NewSecret() }

func (a *App) restConfig(t dispatch.Target, rooms *mailbox.Mailbox) httpapi.Config {
	webhooks := dispatch.NewWebhooks(a.store, t)
	key, _ := a.folder.fileKey() // openStore has read it
	c := httpapi.Config{
		Access: a.access, Mailbox: rooms, Domains: a.makeDomains(rooms),
		Releaser: a.intake(), Sender: a.outgoing(rooms), Suppressed: a.store, Journal: a.store, Redeliverer: dispatch.NewAgain(a.store, a.listeners, a.dispatcher),
		Webhooks: webhooks, InboxWebhooks: webhooks, Secrets: webhooks, Sockets: lateSockets{a}, Ready: a.store.Ready,
		Links: a.links, Version: a.version, Secret: key, InlineAttachments: a.config.InlineAttachments,
		Logger: a.logger, Observe: a.metrics.request,
	}
	if a.config.Limits {
		c.RateLimit, c.FailureLimit = a.config.RequestLimit, 60
	}
	return c
}

func (a *App) mailbox() *mailbox.Mailbox {
	c := mailbox.Config{
		Pods: a.store, Inboxes: a.inboxes(), Mail: a.store, Changes: a.store, Raws: a.store, Policies: a.store, Rules: a.store, Records: a.store, Quarantine: a.store,
		Texts: a.store, Usages: a.store, Feedbacks: a.store, ReadTime: a.config.ExtractLater, Own: a.store, Domains: []string{a.config.Domain},
	}
	if a.reader != nil {
		c.Reader = a.reader
	}
	return mailbox.New(c)
}

func (a *App) intake() *intake.Intake {
	c := intake.Config{
		Store: a.store, Quarantine: a.store, Bell: a.bell, Dispatcher: a.dispatcher, Listening: a.listeners.Wanted,
		Known: a.store, ReadTime: a.config.ExtractTime,
		MaxBytes: a.config.MaxMail, Keep: a.config.RetainQuarantine, Logger: a.logger,
		Postmaster: a.config.Postmaster, Own: []string{a.config.Domain, strings.ToLower(a.config.hostname())},
	}
	if a.reader != nil {
		c.Reader = a.reader
	}
	return intake.New(c)
}

// makeDoors makes where the world comes in.
func (a *App) makeDoors(ctx context.Context) error {
	a.stream = ws.New(ws.Config{
		Keys: a.access, Revocations: a.store, Events: a.store, Inboxes: a.store, Deliveries: a.sockets, Bell: a.bell,
		Log: a.logger, Limits: a.socketLimits(), Origins: a.config.Origins,
	})
	a.http = &http.Server{
		Handler: a.guardPlain(a.doors()), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(a.logger.Handler(), slog.LevelDebug),
	}
	limits := smtpd.Limits{MessageBytes: a.config.MaxMail}
	if !a.config.Limits {
		limits.Connections, limits.ConnectionsPerAddress = 1<<20, 1<<20
	}
	a.smtp = smtpd.New(smtpd.Config{
		Addr: a.config.SMTP, Hostname: a.config.hostname(), Receiver: a.intake(), Limits: limits, Logger: a.logger,
		TLS: a.certs.SMTP(),
	})
	if err := a.smtp.Listen(ctx); err != nil {
		return portTaken(err, "smtp", a.config.SMTP)
	}
	a.atClose(a.smtp.Close)
	a.makeAdmin(ctx)
	return nil
}

// makeAdmin makes the operator's door. A server without it serves everybody else.
func (a *App) makeAdmin(ctx context.Context) {
	var err error
	if a.admin, err = admin.Listen(ctx, a.folder.path, outgoing.NewOperators(a.store, a.dispatcher, a.logger), a.logger); err != nil {
		a.logger.Warn("server.admin", "warning", "openmail admin does not reach this server", "error", plain(err))
		return
	}
	a.atClose(a.admin.Close)
}

func (a *App) socketLimits() ws.Limits {
	l := ws.DefaultLimits()
	l.Connections, l.Messages = a.config.SocketLimit, a.config.SocketMessages
	if !a.config.Limits {
		l.Connections, l.Messages = 0, 0
	}
	return l
}

// doors leads a request to who answers it. It is no ServeMux, which would
// redirect a path with dots or double slashes, in HTML: the REST interface
// answers those.
func (a *App) doors() http.HandlerFunc {
	metrics := a.metrics.handler()
	return func(w http.ResponseWriter, r *http.Request) {
		switch reads := r.Method == http.MethodGet || r.Method == http.MethodHead; {
		case r.URL.Path == "/v1/ws":
			a.stream.ServeHTTP(w, r)
		case r.URL.Path == "/metrics" && reads:
			metrics.ServeHTTP(w, r)
		default:
			a.rest.ServeHTTP(w, r)
		}
	}
}

// lateSockets is the event stream for the REST interface, which is made first.
type lateSockets struct{ a *App }

func (l lateSockets) Sockets(scope openmail.Scope) []api.Socket { return l.a.stream.Sockets(scope) }

func (l lateSockets) Disconnect(scope openmail.Scope, id string) error {
	return l.a.stream.Disconnect(scope, id)
}

func (l lateSockets) Ticket(key openmail.Key) (string, time.Time) { return l.a.stream.Ticket(key) }

// shortKey is the length below which a root key is warned of.
const shortKey = len(access.TokenPrefix) + 24

// firstKey makes the first account, on the first start.
func (a *App) firstKey(ctx context.Context) error {
	accounts, err := a.store.Accounts(ctx, openmail.Operator())
	if err != nil || len(accounts) > 0 {
		return err
	}
	// One that would be refused must not reach the file, where the next start
	// would find it.
	if given := a.config.RootKey; given != "" {
		if e, ok := errors.AsType[*openmail.Error](access.CheckRootKey(given)); ok {
			return fmt.Errorf("OPENMAIL_ROOT_KEY: %s", e.Message)
		}
	}
	key, err := a.folder.rootKey(a.config.RootKey)
	if err != nil {
		return err
	}
	if len(key) < shortKey {
		a.logger.Warn("server.root_key", "warning", "the root key is short: one of 24 random characters or more cannot be guessed")
	}
	if _, _, err := a.access.First(ctx, key); err != nil {
		return fmt.Errorf("make the first account: %w", err)
	}
	a.newKey = key
	return nil
}

// NewKey is the account key that this start has made; "" when there was one.
func (a *App) NewKey() string { return a.newKey }

// KeyFile is where the first key stands.
func (a *App) KeyFile() string { return a.folder.file(rootKeyFile) }

// Addresses is where the server listens.
func (a *App) Addresses() Addresses {
	at := Addresses{HTTP: a.listener.Addr().String(), SMTP: a.smtp.Addr().String()}
	if a.https != nil {
		at.HTTPS = a.https.Addr().String()
	}
	return at
}

// PublicURL is where clients reach it.
func (a *App) PublicURL() string { return a.links.PublicURL }

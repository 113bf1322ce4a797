// Package admin is the door for whoever runs the server: a socket in the data
// folder, which only the server's own user can open. What comes in by it is not
// limited to an account, so no key opens it, and no port leads there.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/outgoing"
)

// Where the socket is, below the data folder: a folder that only its owner may
// enter, from before there is a socket in it.
const (
	folderName = "admin"
	socketName = "socket"
)

// Limits of a request.
const (
	maxBody = 4 << 10
	maxPath = 103 // of a socket, on every system that has them
	timeout = 30 * time.Second
	// MaxListed is how many suspensions a list has at most.
	MaxListed = 1000
)

// Senders is what the operator does to those who send.
type Senders interface {
	// Suspend stops an inbox, a pod or an account from sending;
	// openmail.CodeNotFound, openmail.CodeBadRequest.
	Suspend(ctx context.Context, kind openmail.SuspendedKind, name string, reason openmail.SuspensionReason) (outgoing.SuspensionChange, error)
	// Reactivate lets it send again; openmail.CodeNotFound,
	// openmail.CodeBadRequest.
	Reactivate(ctx context.Context, kind openmail.SuspendedKind, name string) (outgoing.SuspensionChange, error)
	// Suspended lists who may not send, newest first.
	Suspended(ctx context.Context, limit int) ([]openmail.Suspension, error)
}

// Server answers at the socket.
type Server struct {
	senders  Senders
	logger   *slog.Logger
	listener net.Listener
}

// path is where the socket of a data folder is.
func path(data string) string { return filepath.Join(data, folderName, socketName) }

// Listen makes the socket in a data folder that this process holds, in place of
// one that a process left behind. Close it when Run was not called.
func Listen(ctx context.Context, data string, senders Senders, logger *slog.Logger) (*Server, error) {
	at := path(data)
	if len(at) > maxPath {
		return nil, errors.New("the path of the data folder is too long for a socket in it")
	}
	folder := filepath.Dir(at)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", at)
	if err != nil {
		return nil, err
	}
	return &Server{senders: senders, logger: logger, listener: l}, nil
}

// Close removes the socket.
func (s *Server) Close() error {
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /suspend", s.suspend)
	mux.HandleFunc("POST /reactivate", s.reactivate)
	mux.HandleFunc("GET /suspended", s.suspended)
	server := &http.Server{
		Handler: http.MaxBytesHandler(mux, maxBody), ReadTimeout: timeout, WriteTimeout: timeout,
		ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout/3)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(drain), server.Close())
	})
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-stopped
}

func (s *Server) suspend(w http.ResponseWriter, r *http.Request) {
	s.change(w, r, func(ctx context.Context, a api.SuspensionChange) (outgoing.SuspensionChange, error) {
		return s.senders.Suspend(ctx, openmail.SuspendedKind(a.Kind), a.ID, openmail.SuspensionReason(a.Reason))
	})
}

func (s *Server) reactivate(w http.ResponseWriter, r *http.Request) {
	s.change(w, r, func(ctx context.Context, a api.SuspensionChange) (outgoing.SuspensionChange, error) {
		return s.senders.Reactivate(ctx, openmail.SuspendedKind(a.Kind), a.ID)
	})
}

func (s *Server) change(w http.ResponseWriter, r *http.Request, do func(context.Context, api.SuspensionChange) (outgoing.SuspensionChange, error)) {
	var asked api.SuspensionChange
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		s.fail(w, openmail.Errorf(openmail.CodeBadRequest, "The request is no JSON."))
		return
	}
	c, err := do(r.Context(), asked)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, api.SuspensionChange{Suspension: suspensionJSON(c.Suspension), Changed: c.Changed, EventID: c.Event.ID})
}

func (s *Server) suspended(w http.ResponseWriter, r *http.Request) {
	all, err := s.senders.Suspended(r.Context(), MaxListed)
	if err != nil {
		s.fail(w, err)
		return
	}
	out := api.Rows[api.Suspension]{Data: make([]api.Suspension, len(all))}
	for i, x := range all {
		out.Data[i] = suspensionJSON(x)
	}
	s.answer(w, http.StatusOK, out)
}

func suspensionJSON(x openmail.Suspension) api.Suspension {
	return api.Suspension{Kind: string(x.Kind), ID: x.ID, Reason: string(x.Reason), Since: api.Time{Time: x.Since}}
}

// fail answers with what may be told; the rest goes into the log.
func (s *Server) fail(w http.ResponseWriter, err error) {
	e, known := errors.AsType[*openmail.Error](err)
	if !known {
		s.logger.Error("admin.failed", "error", err)
		e = openmail.Errorf(openmail.CodeInternal, "The server failed: its log says how.")
	}
	status := http.StatusBadRequest
	if !known {
		status = http.StatusInternalServerError
	}
	s.answer(w, status, api.Error{Code: string(e.Code), Message: e.Message, Field: e.Field})
}

func (s *Server) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.logger.Debug("admin.answer", "error", fmt.Errorf("write the answer: %w", err))
	}
}

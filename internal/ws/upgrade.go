package ws

import (
	"bufio"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"openmail"
	"openmail/api"
)

// handshakeWait is how long the answer to the handshake may take to write.
const handshakeWait = 5 * time.Second

// maxRefusing is how many clients may be told at a time that they may not stay.
const maxRefusing = 1000

// ServeHTTP takes a connection over from net/http and returns, so that
// net/http's goroutine and buffers go. A key that does not do is answered
// after the handshake, by a close frame: clients stop at 4001, and would try a
// 401 again for ever.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !isUpgrade(r):
		w.Header().Set("Upgrade", "websocket")
		refuse(w, http.StatusUpgradeRequired, openmail.CodeBadRequest, "This is a WebSocket: connect with a WebSocket client.")
		return
	case !s.fromAllowedOrigin(r):
		s.counters.refused.Add(1)
		refuse(w, http.StatusForbidden, openmail.CodeForbidden, "This origin is not on the server's list.")
		return
	}
	if s.isClosing() {
		w.Header().Set("Retry-After", "2")
		refuse(w, http.StatusServiceUnavailable, openmail.CodeUnavailable, "The server is stopping: try again.")
		return
	}
	key, err := s.authenticate(r)
	unauthorized := openmail.CodeOf(err) == openmail.CodeUnauthorized
	if err != nil && !unauthorized {
		s.warn("authenticating a socket", err)
		w.Header().Set("Retry-After", "2")
		refuse(w, http.StatusServiceUnavailable, openmail.CodeUnavailable, "The key could not be checked: try again.")
		return
	}
	nc, rw, _, err := ws.HTTPUpgrader{Timeout: handshakeWait}.Upgrade(r, w)
	if err != nil {
		if nc != nil {
			_ = nc.Close()
		}
		return
	}
	ss := s.session(nc, key, r.RemoteAddr)
	f := &fault{closeUnauthorized, "unauthorized: the API key is missing, unknown or revoked"}
	if !unauthorized {
		f = s.admit(ss, key.Account)
	}
	if f != nil {
		s.turnAway(ss, f)
		return
	}
	s.begin(ss, early(rw.Reader))
}

// turnAway tells a client why it may not stay. When very many are being told,
// it does not.
func (s *Server) turnAway(ss *session, f *fault) {
	s.counters.refused.Add(1)
	full := s.refusing.Add(1) > maxRefusing
	refuse := func() {
		defer s.refusing.Add(-1)
		ss.conn.refuse(words(f), f)
	}
	if full || !s.tasks.start(refuse) {
		s.refusing.Add(-1)
		ss.conn.kill()
	}
}

func (s *Server) isClosing() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closing
}

// begin starts a session's reader.
func (s *Server) begin(ss *session, first []byte) {
	if !s.tasks.start(func() { ss.read(first) }) {
		ss.part(leaving())
	}
}

// isUpgrade reports whether a request asks for a WebSocket (RFC 6455 section
// 4.1); what is wrong in detail, the handshake itself answers.
func isUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

func (s *Server) fromAllowedOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return len(s.cfg.Origins) == 0 || origin == "" || slices.Contains(s.cfg.Origins, origin)
}

// authenticate finds the key of a request: in the Authorization header, or in
// the query as token, or by a ticket.
func (s *Server) authenticate(r *http.Request) (openmail.Key, error) {
	query := r.URL.Query()
	if text := query.Get("ticket"); text != "" {
		if key, ok := s.tickets.redeem(text, time.Now()); ok {
			return key, nil
		}
		return openmail.Key{}, openmail.Errorf(openmail.CodeUnauthorized, "The ticket is used or has expired.")
	}
	token := query.Get("token")
	if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(rest)
	}
	if token == "" {
		return openmail.Key{}, openmail.Errorf(openmail.CodeUnauthorized, "There is no key.")
	}
	return s.cfg.Keys.Authenticate(r.Context(), token)
}

// early is what a client sent together with its handshake. It is a copy:
// net/http's buffer must go.
func early(r *bufio.Reader) []byte {
	waiting, err := r.Peek(r.Buffered())
	if err != nil || len(waiting) == 0 {
		return nil
	}
	return slices.Clone(waiting)
}

// refuse answers a request that never becomes a socket.
func refuse(w http.ResponseWriter, status int, code openmail.Code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Error{Code: string(code), Message: message})
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"openmail/client"
)

// receiver takes webhooks and remembers the events.
type receiver struct {
	url    string
	server *http.Server
	ended  chan error

	mu    sync.Mutex
	posts map[string]int       // by event id
	first map[string]time.Time // when each came
}

func newReceiver() (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + l.Addr().String() + "/", ended: make(chan error, 1), posts: map[string]int{}, first: map[string]time.Time{}}
	r.server = &http.Server{Handler: r, ReadTimeout: 10 * time.Second}
	go func() { r.ended <- r.server.Serve(l) }()
	return r, nil
}

// ServeHTTP remembers an event before it says that it has it.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var event struct {
		ID string `json:"event_id"`
	}
	body, err := io.ReadAll(req.Body)
	if err != nil || json.Unmarshal(body, &event) != nil || event.ID == "" {
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.posts[event.ID]++; r.posts[event.ID] == 1 {
		r.first[event.ID] = now
	}
}

// came tells when an event was first posted.
func (r *receiver) came(event string) (at time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok = r.first[event]
	return at, ok
}

func (r *receiver) has(event string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.posts[event] > 0
}

// repeated counts the posts of events that had been posted before.
func (r *receiver) repeated() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, times := range r.posts {
		n += times - 1
	}
	return n
}

func (r *receiver) close() error {
	err := r.server.Close()
	if ended := <-r.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// listener is an agent that listens whenever it is let, and resumes where it
// was: it ought to miss nothing, however often the server is killed.
type listener struct {
	resume string
	mu     sync.Mutex
	order  []string // event ids as they came, each once
	seen   map[string]bool
}

func newListener() *listener { return &listener{seen: map[string]bool{}} }

// run listens until ctx ends. The first time it begins with the oldest event.
func (l *listener) run(ctx context.Context, c *client.Client) error {
	for e, err := range c.Listen(ctx, client.ListenOptions{LastEventID: l.resume, FromStart: true}) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		l.take(e)
	}
	return nil
}

func (l *listener) take(e client.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resume = e.ResumeID
	if !l.seen[e.ID] {
		l.seen[e.ID] = true
		l.order = append(l.order, e.ID)
	}
}

func (l *listener) has(event string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[event]
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.order)
}

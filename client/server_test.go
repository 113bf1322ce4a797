package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/smtp"
	"slices"
	"testing"
	"time"

	"openmail"
	"openmail/api"
	"openmail/client"
	"openmail/internal/app"
)

// startServer runs the server itself, on ports and in a folder of its own.
func startServer(t *testing.T) *app.App {
	t.Helper()
	env := map[string]string{"OPENMAIL_HTTP": "127.0.0.1:0", "OPENMAIL_SMTP": "127.0.0.1:0", "OPENMAIL_DATA": t.TempDir()}
	config, _, err := app.Load(func(name string) string { return env[name] }, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	server, err := app.New(context.Background(), config, "test", slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return server
}

func clientOf(t *testing.T, server *app.App, key string) *client.Client {
	t.Helper()
	return newClient(t, client.Options{BaseURL: "http://" + server.Addresses().HTTP, APIKey: key})
}

func sendMail(t *testing.T, server *app.App, to string, n int) {
	t.Helper()
	mail := fmt.Sprintf("From: a@example.com\r\nTo: %s\r\nSubject: %d\r\nMessage-ID: <%d@example.com>\r\n\r\nHello\r\n", to, n, n)
	// Not smtp.SendMail: that verifies the certificate of STARTTLS, which the
	// server made itself.
	s, err := smtp.Dial(server.Addresses().SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := errors.Join(s.Mail("a@example.com"), s.Rcpt(to)); err != nil {
		t.Fatal(err)
	}
	w, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, mail); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), s.Quit()); err != nil {
		t.Fatal(err)
	}
}

func TestListenToTheServerCutAfterEveryEventLosesAndRepeatsNothing(t *testing.T) {
	server := startServer(t)
	c := clientOf(t, server, server.NewKey())
	inbox, err := c.CreateInbox(t.Context(), api.InboxCreate{MailboxName: "jane"})
	if err != nil {
		t.Fatal(err)
	}
	sendMail(t, server, inbox.Address, 1)
	var got []string
	for e, err := range c.Listen(t.Context(), client.ListenOptions{FromStart: true, Limit: 4}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Message.Subject)
		if len(got) == 4 {
			continue
		}
		cutSockets(t, c)
		sendMail(t, server, inbox.Address, len(got)+1) // while nobody is connected
	}
	if !slices.Equal(got, []string{"1", "2", "3", "4"}) {
		t.Errorf("got %v", got)
	}
}

func cutSockets(t *testing.T, c *client.Client) {
	t.Helper()
	sockets, err := c.Sockets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sockets {
		if err := c.CloseSocket(t.Context(), s.ID); err != nil && openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Fatal(err)
		}
	}
}

func TestTheServerRefusesAsTheClientExpects(t *testing.T) {
	server := startServer(t)
	c := clientOf(t, server, server.NewKey())
	if err := firstError(t.Context(), clientOf(t, server, "om_wrong"), client.ListenOptions{LastEventID: "evt_1"}); openmail.CodeOf(err) != openmail.CodeUnauthorized {
		t.Errorf("a wrong key: %v", err)
	}
	if _, err := clientOf(t, server, "om_wrong").Ping(t.Context()); openmail.CodeOf(err) != openmail.CodeUnauthorized {
		t.Errorf("a ping with a wrong key: %v", err)
	}
	if _, err := c.Ping(t.Context()); err != nil {
		t.Errorf("a ping: %v", err)
	}
	if err := firstError(t.Context(), c, client.ListenOptions{Inboxes: []string{"inb_nobody"}}); openmail.CodeOf(err) != openmail.CodeBadRequest {
		t.Errorf("an inbox of nobody: %v", err)
	}
	var states []string
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := firstError(ctx, c, client.ListenOptions{LastEventID: "evt_gone", OnState: func(s client.State) {
		states = append(states, string(s.Kind))
		if s.Kind == client.StateConnected {
			cancel()
		}
	}})
	if fmt.Sprint(states) != "[gap connected]" {
		t.Errorf("a position that is not known: %v, %v", states, err)
	}
}

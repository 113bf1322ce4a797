package app_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"openmail/api"
	"openmail/client"
)

// tenant is one customer of an account: a pod with an inbox, and a connection
// with the pod's key.
type tenant struct {
	t      *testing.T
	inbox  api.Inbox
	key    api.APIKey
	client *client.Client
	conn   *websocket.Conn
}

// frame is what the stream says.
type frame struct {
	Type, Event string
	Message     json.RawMessage // of an error, and of an event
	ID          string          `json:"event_id"`
	Inbox       string          `json:"inbox_id"`
	Inboxes     []string        `json:"inbox_ids"`
}

func newTenant(t *testing.T, s *server, root *client.Client, name string) *tenant {
	t.Helper()
	_, err := root.CreatePod(t.Context(), api.PodCreate{ClientID: &name})
	check(t, err)
	inbox, err := root.CreateInbox(t.Context(), api.InboxCreate{MailboxName: name, PodID: &name})
	check(t, err)
	key, err := root.CreatePodKey(t.Context(), name, api.APIKeyCreate{})
	check(t, err)
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+s.Addresses().HTTP+"/v1/ws", http.Header{"Authorization": {"Bearer " + key.Token}})
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	return &tenant{t, inbox, key, s.client(t, key.Token), conn}
}

func (n *tenant) say(message string) {
	n.t.Helper()
	check(n.t, n.conn.WriteMessage(websocket.TextMessage, []byte(message)))
}

func (n *tenant) next() (f frame) {
	n.t.Helper()
	check(n.t, n.conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	check(n.t, n.conn.ReadJSON(&f))
	return f
}

// isCutOff reads until the connection ends, which must be because the key did.
func (n *tenant) isCutOff() {
	n.t.Helper()
	for {
		check(n.t, n.conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		_, _, err := n.conn.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok && closed.Code == 4001 {
			return
		}
		check(n.t, err)
	}
}

func TestTwoCustomersOfAnAccountHearNothingOfEachOther(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, config(t, dir, nil))
	b, err := os.ReadFile(filepath.Join(dir, "root-key"))
	check(t, err)
	root := s.client(t, strings.TrimSpace(string(b)))
	acme, other := newTenant(t, s, root, "acme"), newTenant(t, s, root, "other")
	events := map[*tenant]string{}
	for _, n := range []*tenant{acme, other} {
		n.say(`{"type":"subscribe"}`)
		if f := n.next(); f.Type != "subscribed" || !slices.Equal(f.Inboxes, []string{n.inbox.ID}) {
			t.Fatalf("subscribed to %+v", f)
		}
	}
	for _, n := range []string{"one", "two", "three"} { // to both in turn: each hears its own, and alone
		s.mail(t, acme.inbox.Address, n)
		s.mail(t, other.inbox.Address, n)
	}
	for _, n := range []*tenant{acme, other} {
		for range 3 {
			f := n.next()
			if f.Event == "" || f.Inbox != n.inbox.ID {
				t.Fatalf("heard %+v", f)
			}
			events[n] = f.ID
		}
		n.say(`{"type":"ping"}`)
		if f := n.next(); f.Type != "pong" {
			t.Fatalf("heard %+v besides", f)
		}
		page, err := n.client.EventPage(t.Context(), client.EventFilter{})
		if check(t, err); len(page.Data) != 3 {
			t.Errorf("%d events are listed", len(page.Data))
		}
	}
	acme.say(`{"type":"subscribe","last_event_id":"` + events[other] + `"}`)
	if f := acme.next(); f.Type != "error" || !strings.Contains(string(f.Message), "unknown last_event_id") {
		t.Errorf("another's event as a position: %+v", f)
	}

	check(t, root.RevokePodKey(t.Context(), "acme", acme.key.ID))
	acme.isCutOff()
	check(t, root.DeleteInbox(t.Context(), other.inbox.ID))
	check(t, root.DeletePod(t.Context(), "other"))
	other.isCutOff()
}

func TestCustomersOfAnAccountMayWriteToEachOther(t *testing.T) {
	s := serve(t, config(t, t.TempDir(), nil))
	root := s.client(t, s.NewKey())
	acme, other := newTenant(t, s, root, "acme"), newTenant(t, s, root, "other")
	other.say(`{"type":"subscribe"}`)
	other.next()
	_, err := acme.client.Send(t.Context(), acme.inbox.ID, api.SendRequest{To: other.inbox.Address, Subject: "Hello", Body: "Hi"}, "")
	check(t, err)
	if f := other.next(); f.Inbox != other.inbox.ID || !strings.Contains(string(f.Message), `"from":"`+acme.inbox.Address+`"`) {
		t.Errorf("heard %+v", f)
	}
}

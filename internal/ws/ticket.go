package ws

import (
	"crypto/rand"
	"sync"
	"time"

	"openmail"
)

const (
	ticketLife = 60 * time.Second
	// maxTickets is how many of one account may wait; the oldest give way.
	maxTickets = 64
)

// tickets are single-use stand-ins for keys, for clients that can authenticate
// only by a URL. They live in this process.
type tickets struct {
	mu        sync.Mutex
	byText    map[string]ticket
	byAccount map[string][]string // oldest first; those used may still be listed
}

type ticket struct {
	key     openmail.Key
	expires time.Time
}

func newTickets() *tickets {
	return &tickets{byText: map[string]ticket{}, byAccount: map[string][]string{}}
}

// issue makes a ticket for a key.
func (t *tickets) issue(key openmail.Key, now time.Time) (text string, expires time.Time) {
	text, expires = rand.Text(), now.Add(ticketLife)
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.byAccount[key.Account]
	if len(list) == maxTickets {
		delete(t.byText, list[0])
		list = list[1:]
	}
	t.byText[text] = ticket{key, expires}
	t.byAccount[key.Account] = append(list, text)
	return text, expires
}

// redeem takes a ticket for its key. It can be done once.
func (t *tickets) redeem(text string, now time.Time) (openmail.Key, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.byText[text]
	delete(t.byText, text)
	return found.key, ok && now.Before(found.expires)
}

// revoke forgets the tickets of keys.
func (t *tickets) revoke(keys map[string]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for text, found := range t.byText {
		if keys[found.key.ID] {
			delete(t.byText, text)
		}
	}
}

// sweep forgets those that have expired.
func (t *tickets) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for account, list := range t.byAccount {
		for len(list) > 0 && t.gone(list[0], now) {
			delete(t.byText, list[0])
			list = list[1:]
		}
		if t.byAccount[account] = list; len(list) == 0 {
			delete(t.byAccount, account)
		}
	}
}

func (t *tickets) gone(text string, now time.Time) bool {
	found, ok := t.byText[text]
	return !ok || !now.Before(found.expires)
}

package dispatch

import (
	"slices"
	"sync"

	"openmail"
)

// Listener is one live socket. Its methods do not block and may be called from
// any goroutine.
type Listener interface {
	// Wants reports whether its subscription, and its key, cover an event of
	// that inbox and type.
	Wants(inbox string, t openmail.EventType) bool

	// Holds reports whether the event at p was pushed to it and waits for
	// its receipt, or will still come to it by its cursor.
	Holds(p openmail.Position) bool

	// Offer gives it an event that lies behind its cursor, to be pushed
	// soon. It may decline, when too much waits already.
	Offer(e openmail.Event)

	// Resumed is the position of the event that its client says it has, which
	// it goes on after; 0 when it has not said so.
	Resumed() openmail.Position
}

// Listeners are the live sockets of this process, by account.
type Listeners struct {
	mu        sync.RWMutex
	byAccount map[string][]Listener
}

// NewListeners returns an empty set.
func NewListeners() *Listeners {
	return &Listeners{byAccount: map[string][]Listener{}}
}

// Join adds a socket of that account. It stays until Leave.
func (ls *Listeners) Join(account string, l Listener) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.byAccount[account] = append(ls.byAccount[account], l)
}

// Leave removes a socket; it is no error when it is not there.
func (ls *Listeners) Leave(account string, l Listener) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	left := slices.DeleteFunc(ls.byAccount[account], func(x Listener) bool { return x == l })
	if len(left) == 0 {
		delete(ls.byAccount, account)
		return
	}
	ls.byAccount[account] = left
}

// Wanted reports whether any socket of the account wants such an event.
func (ls *Listeners) Wanted(account, inbox string, t openmail.EventType) bool {
	return ls.find(account, func(l Listener) bool { return l.Wants(inbox, t) }) != nil
}

// Held reports whether any socket of the account has the event at p pushed and
// unconfirmed, or still before it.
func (ls *Listeners) Held(account string, p openmail.Position) bool {
	return ls.find(account, func(l Listener) bool { return l.Holds(p) }) != nil
}

// Offer gives e to every socket that wants it and does not hold it.
func (ls *Listeners) Offer(e openmail.Event) {
	ls.find(e.Account, func(l Listener) bool {
		if l.Wants(e.Inbox, e.Type) && !l.Holds(e.Position) {
			l.Offer(e)
		}
		return false
	})
}

// OfferFresh is Offer but for sockets whose client went on after e: as likely as
// not it was that client's last connection which lost e, and e had come.
func (ls *Listeners) OfferFresh(e openmail.Event) {
	ls.find(e.Account, func(l Listener) bool {
		if l.Wants(e.Inbox, e.Type) && !l.Holds(e.Position) && l.Resumed() < e.Position {
			l.Offer(e)
		}
		return false
	})
}

// find returns the first socket of the account that accept accepts.
func (ls *Listeners) find(account string, accept func(Listener) bool) Listener {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	for _, l := range ls.byAccount[account] {
		if accept(l) {
			return l
		}
	}
	return nil
}

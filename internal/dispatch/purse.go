package dispatch

import "sync"

// Bounds of the posts in flight. An account may have many endpoints, and those
// that hang keep their posts for 15 s: they must leave room for its others, and
// for other accounts.
const (
	maxInFlight = 512 // in all
	maxFailing  = 128 // of those, to endpoints that fail
	perAccount  = 64  // for one account
	perFailing  = 16  // of those, to endpoints that fail
)

// purse has a token for each post that may begin.
type purse struct {
	mu       sync.Mutex
	all      spent
	accounts map[string]spent
}

// spent is how many tokens are out.
type spent struct{ posts, failing int }

func newPurse() *purse { return &purse{accounts: map[string]spent{}} }

// take takes a token for a post of an account, to an endpoint that fails or not.
// It does not block: ok is false when there is none.
func (p *purse) take(account string, failing bool) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.accounts[account]
	if p.all.posts >= maxInFlight || own.posts >= perAccount ||
		failing && (p.all.failing >= maxFailing || own.failing >= perFailing) {
		return false
	}
	p.add(account, failing, 1)
	return true
}

// give gives back n tokens.
func (p *purse) give(account string, failing bool, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(account, failing, -n)
}

func (p *purse) add(account string, failing bool, n int) {
	own := p.accounts[account]
	own.posts, p.all.posts = own.posts+n, p.all.posts+n
	if failing {
		own.failing, p.all.failing = own.failing+n, p.all.failing+n
	}
	if p.accounts[account] = own; own == (spent{}) {
		delete(p.accounts, account)
	}
}

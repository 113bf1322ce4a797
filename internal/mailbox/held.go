package mailbox

import (
	"io"
	"sync"

	"openmail"
)

// maxHeld is how many bytes of attachments may be in memory at a time, for
// those who fetch them; half of it for one account. A client decides how long
// it takes to read, hence how long they stay.
const maxHeld = 256 << 20

// held counts the bytes of attachments in memory.
type held struct {
	mu        sync.Mutex
	all       int64
	byAccount map[string]int64
}

// take counts n bytes more; openmail.CodeRateLimit when that is too much now.
func (h *held) take(account string, n int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all+n > maxHeld || h.byAccount[account]+n > maxHeld/2 {
		return openmail.Errorf(openmail.CodeRateLimit, "Too many large attachments are being fetched at a time.")
	}
	if h.byAccount == nil {
		h.byAccount = map[string]int64{}
	}
	h.all += n
	h.byAccount[account] += n
	return nil
}

func (h *held) give(account string, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all -= n
	if h.byAccount[account] -= n; h.byAccount[account] == 0 {
		delete(h.byAccount, account)
	}
}

// heldReader is a reader whose bytes count until it is closed.
type heldReader struct {
	io.Reader
	close func()
}

func (r *heldReader) Close() error {
	r.close()
	return nil
}

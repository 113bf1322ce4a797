package smtpd

import "sync/atomic"

// Metrics are counters of a Server since it was made.
type Metrics struct {
	Sessions atomic.Int64 // begun
	Open     atomic.Int64 // now
	Accepted atomic.Int64 // mails that were answered with 250
	Bytes    atomic.Int64 // of those mails

	refused [200]atomic.Int64 // replies 400 to 599
}

// Refused counts the replies that refused something, by their code (400 to 599).
// Codes that were never said are left out.
func (m *Metrics) Refused() map[int]int64 {
	counts := map[int]int64{}
	for i := range m.refused {
		if n := m.refused[i].Load(); n > 0 {
			counts[400+i] = n
		}
	}
	return counts
}

// countReply notes a reply of ours, if it refuses.
func (m *Metrics) countReply(reply string) {
	if reply[0] == '4' || reply[0] == '5' {
		code := int(reply[0]-'0')*100 + int(reply[1]-'0')*10 + int(reply[2]-'0')
		m.refused[code-400].Add(1)
	}
}

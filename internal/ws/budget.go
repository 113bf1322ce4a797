package ws

// budget counts what a client sends, in stretches of Limits.Window.
type budget struct {
	from     int64 // on the server's clock
	messages int32
	odds     int32
	acks     uint64 // since the connection began
}

// turn begins a new stretch when the old one is over.
func (b *budget) turn(now int64, l *Limits) {
	if b.from == 0 || now-b.from >= int64(l.Window) {
		b.from, b.messages, b.odds = now, 0, 0
	}
}

// message counts a message, and reports whether it is within the limit.
func (b *budget) message(now int64, l *Limits) bool {
	b.turn(now, l)
	b.messages++
	return l.Messages == 0 || int(b.messages) <= l.Messages
}

// odd counts a ping, an unasked pong or a fragment.
func (b *budget) odd(now int64, l *Limits) bool {
	b.turn(now, l)
	b.odds++
	return l.Messages == 0 || int(b.odds) <= 10*l.Messages
}

// ack counts an ack, and reports whether it goes with an event that was pushed:
// then it costs nothing else.
func (b *budget) ack(pushed uint64) bool {
	b.acks++
	return b.acks <= pushed
}

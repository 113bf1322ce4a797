package smtpd

import "net"

// Use makes the server serve l instead of listening.
func (s *Server) Use(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
}

// Held is how many bytes of mails are in flight.
func (s *Server) Held() int64 {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return s.gate.held
}

// Package smtpout hands mail to the servers of others: an SMTP client (RFC 5321)
// that finds the server of a domain by MX.
//
// Whatever the other side sends is taken with a bound on its size and a deadline
// for each step, and nothing of what it says is believed beyond its reply.
package smtpout

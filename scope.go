package openmail

// Scope is what a caller may see. Every read of stored data takes one. The zero
// Scope covers nothing.
type Scope struct {
	Account string
	Inbox   string // "": every inbox of the account

	operator bool
}

// Operator is the scope of the server itself and of whoever runs it: it covers
// everything. No key has it.
func Operator() Scope { return Scope{operator: true} }

// IsOperator reports whether s covers everything.
func (s Scope) IsOperator() bool { return s.operator }

// Covers reports whether what belongs to that account and inbox lies within s.
// Pass "" as inbox for what belongs to the account as a whole: a scope that is
// limited to one inbox does not cover that.
func (s Scope) Covers(account, inbox string) bool {
	if s.operator {
		return true
	}
	return s.Account != "" && s.Account == account && (s.Inbox == "" || s.Inbox == inbox)
}

// WholeAccount reports whether s reaches every inbox of its account.
func (s Scope) WholeAccount() bool { return s.operator || s.Account != "" && s.Inbox == "" }

// NeedAccount is the error that answers a caller who wants to do something to
// an account as a whole, and nil when s reaches that far. doing completes the
// sentence "This key reaches one inbox only: it cannot …".
func (s Scope) NeedAccount(doing string) error {
	if s.WholeAccount() {
		return nil
	}
	return Errorf(CodeForbidden, "This key reaches one inbox only: it cannot %s.", doing)
}

// NeedInbox is the error that answers a caller who is limited to another inbox
// than this, and nil for everybody else. It says the same of every other
// inbox, whether there is such a one or not.
func (s Scope) NeedInbox(inbox string) error {
	if s.Inbox == "" || s.Inbox == inbox {
		return nil
	}
	return Errorf(CodeForbidden, "This key reaches the inbox %s only.", s.Inbox)
}

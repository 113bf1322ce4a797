package openmail

// Scope is what a caller may see: an account, one pod of it, or one inbox. Every
// read of stored data takes one. The zero Scope covers nothing.
type Scope struct {
	Account string
	Pod     string // "": every pod of the account
	Inbox   string // "": every inbox of the pod; its pod may stand beside it

	operator bool
}

// Operator is the scope of the server itself and of whoever runs it: it covers
// everything. No key has it.
func Operator() Scope { return Scope{operator: true} }

// IsOperator reports whether s covers everything.
func (s Scope) IsOperator() bool { return s.operator }

// Covers reports whether what belongs to that account, pod and inbox lies
// within s. Pass "" as inbox for what belongs to a pod as a whole, and "" as
// both for what belongs to the account as a whole: a narrower scope does not
// cover that.
func (s Scope) Covers(account, pod, inbox string) bool {
	if s.operator {
		return true
	}
	return s.Account != "" && s.Account == account && (s.Pod == "" || s.Pod == pod) && (s.Inbox == "" || s.Inbox == inbox)
}

// WholeAccount reports whether s reaches every inbox of its account.
func (s Scope) WholeAccount() bool {
	return s.operator || s.Account != "" && s.Pod == "" && s.Inbox == ""
}

// NeedAccount is the error that answers a caller who wants to do something to
// an account as a whole, and nil when s reaches that far. doing completes the
// sentence "This key reaches one inbox only: it cannot …".
func (s Scope) NeedAccount(doing string) error {
	if s.WholeAccount() {
		return nil
	}
	return s.tooNarrow(doing)
}

// NeedPod is NeedAccount for what a key that reaches a whole pod may do too.
func (s Scope) NeedPod(doing string) error {
	if s.operator || s.Account != "" && s.Inbox == "" {
		return nil
	}
	return s.tooNarrow(doing)
}

func (s Scope) tooNarrow(doing string) error {
	what := "inbox"
	if s.Inbox == "" && s.Pod != "" {
		what = "pod"
	}
	return Errorf(CodeForbidden, "This key reaches one %s only: it cannot %s.", what, doing)
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

// OutsidePod is the error that answers a caller who is limited to a pod and
// asks for what lies in another.
func (s Scope) OutsidePod() error {
	return Errorf(CodeForbidden, "This key reaches the pod %s only.", s.Pod)
}

// InPod is s, narrowed to one pod of its account.
func (s Scope) InPod(pod string) Scope {
	s.Pod = pod
	return s
}

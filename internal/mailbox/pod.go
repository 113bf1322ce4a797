package mailbox

import (
	"context"
	"time"

	"openmail"
	"openmail/internal/id"
)

// maxPodText bounds a pod's name and clientId, in characters.
const maxPodText = 255

// CreatePod makes a pod. Both texts may be empty; openmail.CodeClientIDTaken.
func (m *Mailbox) CreatePod(ctx context.Context, scope openmail.Scope, clientID, name string) (openmail.Pod, error) {
	if err := scope.NeedAccount("create a pod"); err != nil {
		return openmail.Pod{}, err
	}
	now := time.Now()
	p := openmail.Pod{ID: id.At(openmail.PrefixPod, now), Account: scope.Account, ClientID: clientID, Name: name, CreatedAt: now}
	if err := checkPod(p); err != nil {
		return openmail.Pod{}, err
	}
	return p, m.c.Pods.CreatePod(ctx, scope, p)
}

func checkPod(p openmail.Pod) error {
	if p.ClientID == "." || p.ClientID == ".." { // no path could name it
		return openmail.FieldErrorf(openmail.CodeBadRequest, "clientId", "clientId is not a dot or two.")
	}
	if err := checkText("clientId", p.ClientID, maxPodText); err != nil {
		return err
	}
	return checkText("name", p.Name, maxPodText)
}

// Pod returns the pod with that id or clientId. To a narrower scope there is
// only its own: it is told the same of every other, whether there is such a one
// or not.
func (m *Mailbox) Pod(ctx context.Context, scope openmail.Scope, name string) (openmail.Pod, error) {
	p, err := m.c.Pods.Pod(ctx, ownPod(scope), name)
	if scope.Pod != "" && openmail.CodeOf(err) == openmail.CodeNotFound {
		return openmail.Pod{}, scope.OutsidePod()
	}
	return p, err
}

// ownPod is a scope without its limit to one inbox: a key may see the pod that
// it belongs to.
func ownPod(scope openmail.Scope) openmail.Scope {
	scope.Inbox = ""
	return scope
}

// podFor is the id of the pod that a new inbox goes to.
func (m *Mailbox) podFor(ctx context.Context, scope openmail.Scope, name string) (string, error) {
	if name == "" && scope.Pod != "" {
		return scope.Pod, nil
	}
	p, err := m.Pod(ctx, scope, name)
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		return "", openmail.FieldErrorf(openmail.CodeInvalidPod, "podId", "There is no pod with that id or clientId.")
	}
	return p.ID, err
}

// Pods returns a page of them, the default one first, then newest first, and
// how many there are.
func (m *Mailbox) Pods(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Pod, int, error) {
	return m.c.Pods.Pods(ctx, ownPod(scope), page(p))
}

// UpdatePod changes what is not nil; "" clears. openmail.CodeClientIDTaken.
func (m *Mailbox) UpdatePod(ctx context.Context, scope openmail.Scope, pod string, clientID, name *string) (openmail.Pod, error) {
	if err := scope.NeedAccount("change a pod"); err != nil {
		return openmail.Pod{}, err
	}
	m.pods.Lock()
	defer m.pods.Unlock()
	p, err := m.c.Pods.Pod(ctx, scope, pod)
	if err != nil {
		return openmail.Pod{}, err
	}
	if clientID != nil {
		p.ClientID = *clientID
	}
	if name != nil {
		p.Name = *name
	}
	if err := checkPod(p); err != nil {
		return openmail.Pod{}, err
	}
	return p, m.c.Pods.UpdatePod(ctx, scope, p)
}

// DeletePod removes a pod that has no inboxes and revokes its keys.
func (m *Mailbox) DeletePod(ctx context.Context, scope openmail.Scope, pod string) error {
	if err := scope.NeedAccount("delete a pod"); err != nil {
		return err
	}
	p, err := m.c.Pods.Pod(ctx, scope, pod)
	if err != nil {
		return err
	}
	return m.c.Pods.DeletePod(ctx, scope, p.ID, time.Now())
}

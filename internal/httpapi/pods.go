package httpapi

import (
	"context"
	"net/http"

	"openmail/api"
	"openmail/internal/access"
)

func (s *Server) podRoutes() {
	const tag = "Pods"
	add(s, route{method: http.MethodGet, path: "/v1/pods", id: "listPods", tag: tag, summary: "List pods: the default one, then the others, newest first"}, s.listPods)
	add(s, route{method: http.MethodPost, path: "/v1/pods", id: "createPod", tag: tag, summary: "Create a pod", status: http.StatusCreated}, s.createPod)
	add(s, route{method: http.MethodGet, path: "/v1/pods/{id}", id: "getPod", tag: tag, summary: "Get a pod, by id or clientId"}, s.getPod)
	add(s, route{method: http.MethodPatch, path: "/v1/pods/{id}", id: "updatePod", tag: tag, summary: "Change a pod"}, s.updatePod)
	add(s, route{method: http.MethodDelete, path: "/v1/pods/{id}", id: "deletePod", tag: tag, summary: "Delete a pod that has no inboxes, and revoke its keys"}, s.deletePod)
	add(s, route{method: http.MethodGet, path: "/v1/pods/{id}/api-keys", id: "listPodKeys", tag: tag, summary: "List the keys of a pod"}, s.listPodKeys)
	add(s, route{method: http.MethodPost, path: "/v1/pods/{id}/api-keys", id: "createPodKey", tag: tag, summary: "Create a key that reaches one pod", status: http.StatusCreated}, s.createPodKey)
	add(s, route{method: http.MethodDelete, path: "/v1/pods/{id}/api-keys/{keyId}", id: "revokePodKey", tag: tag, summary: "Revoke a key of a pod"}, s.revokePodKey)
}

func (s *Server) listPods(ctx context.Context, in *listInput) (*reply[api.List[api.Pod]], error) {
	pods, total, err := s.c.Mailbox.Pods(ctx, in.scope(), in.page())
	if err != nil {
		return nil, err
	}
	return body(list(pods, total, podJSON)), nil
}

type createPodInput struct {
	Caller
	Body *api.PodCreate
}

func (s *Server) createPod(ctx context.Context, in *createPodInput) (*reply[api.Pod], error) {
	var asked api.PodCreate
	if in.Body != nil {
		asked = *in.Body
	}
	pod, err := s.c.Mailbox.CreatePod(ctx, in.scope(), orEmpty(asked.ClientID), orEmpty(asked.Name))
	if err != nil {
		return nil, err
	}
	return body(podJSON(pod)), nil
}

// NamedPod is the input of a route whose path names a pod, by its id or its
// clientId.
type NamedPod struct {
	Caller
	ID string `path:"id" maxLength:"255"`
}

func (s *Server) getPod(ctx context.Context, in *NamedPod) (*reply[api.Pod], error) {
	pod, err := s.c.Mailbox.Pod(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return body(podJSON(pod)), nil
}

type updatePodInput struct {
	NamedPod
	Body api.PodUpdate
}

func (s *Server) updatePod(ctx context.Context, in *updatePodInput) (*reply[api.Pod], error) {
	pod, err := s.c.Mailbox.UpdatePod(ctx, in.scope(), in.ID, changed(in.Body.ClientID), changed(in.Body.Name))
	if err != nil {
		return nil, err
	}
	return body(podJSON(pod)), nil
}

// changed is what a field is to become, "" for null; nil when it was left out.
func changed(o api.Optional[string]) *string {
	if !o.Set {
		return nil
	}
	text := orEmpty(o.Value)
	return &text
}

func (s *Server) deletePod(ctx context.Context, in *NamedPod) (*nothing, error) {
	return nil, s.c.Mailbox.DeletePod(ctx, in.scope(), in.ID)
}

func (s *Server) listPodKeys(ctx context.Context, in *NamedPod) (*keysReply, error) {
	return s.keys(ctx, &in.Caller, access.Owner{Pod: in.ID})
}

type createPodKeyInput struct {
	NamedPod
	Body *api.APIKeyCreate
}

func (s *Server) createPodKey(ctx context.Context, in *createPodKeyInput) (*reply[api.APIKey], error) {
	return s.newKey(ctx, &in.Caller, access.Owner{Pod: in.ID}, in.Body)
}

type podKeyInput struct {
	NamedPod
	KeyID string `path:"keyId" maxLength:"200"`
}

func (s *Server) revokePodKey(ctx context.Context, in *podKeyInput) (*nothing, error) {
	return nil, s.c.Access.Revoke(ctx, in.scope(), access.Owner{Pod: in.ID}, in.KeyID)
}

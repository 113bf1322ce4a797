package client

import (
	"context"
	"iter"
	"net/http"

	"openmail"
	"openmail/api"
)

// A pod is named by its id or by its clientId, everywhere.

// PodPage is one page of the pods that the key reaches: the default one, then
// the others, newest first.
func (c *Client) PodPage(ctx context.Context, p openmail.Page) (api.List[api.Pod], error) {
	return fetch[api.List[api.Pod]](ctx, c, request{method: http.MethodGet, path: "/v1/pods", query: pageQuery(nil, p)})
}

// Pods walks every pod that the key reaches, in the order of PodPage.
func (c *Client) Pods(ctx context.Context) iter.Seq2[api.Pod, error] {
	return all(openmail.Page{}, func(p openmail.Page) (api.List[api.Pod], error) { return c.PodPage(ctx, p) })
}

// Pod is one pod.
func (c *Client) Pod(ctx context.Context, pod string) (api.Pod, error) {
	return fetch[api.Pod](ctx, c, request{method: http.MethodGet, path: "/v1/pods/{}", ids: []string{pod}})
}

// CreatePod makes a pod; the code is client_id_taken when another has its
// clientId.
func (c *Client) CreatePod(ctx context.Context, in api.PodCreate) (api.Pod, error) {
	return fetch[api.Pod](ctx, c, request{method: http.MethodPost, path: "/v1/pods", body: in})
}

// UpdatePod changes what in sets and answers with the pod as it is then.
func (c *Client) UpdatePod(ctx context.Context, pod string, in api.PodUpdate) (api.Pod, error) {
	return fetch[api.Pod](ctx, c, request{method: http.MethodPatch, path: "/v1/pods/{}", ids: []string{pod}, body: in})
}

// DeletePod removes a pod and revokes its keys; the code is pod_not_empty while
// it has inboxes.
func (c *Client) DeletePod(ctx context.Context, pod string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/pods/{}", ids: []string{pod}})
}

// PodKeys lists a pod's keys that are not revoked, without their tokens.
func (c *Client) PodKeys(ctx context.Context, pod string) ([]api.APIKey, error) {
	return rows[api.APIKey](ctx, c, request{method: http.MethodGet, path: "/v1/pods/{}/api-keys", ids: []string{pod}})
}

// CreatePodKey makes a key that reaches one pod. Its Token is never shown again.
func (c *Client) CreatePodKey(ctx context.Context, pod string, in api.APIKeyCreate) (api.APIKey, error) {
	return fetch[api.APIKey](ctx, c, request{method: http.MethodPost, path: "/v1/pods/{}/api-keys", ids: []string{pod}, body: in})
}

// RevokePodKey makes a key of a pod invalid at once.
func (c *Client) RevokePodKey(ctx context.Context, pod, id string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/pods/{}/api-keys/{}", ids: []string{pod, id}})
}

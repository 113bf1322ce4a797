//go:build !linux

package extract

// confine bounds the process by what Go itself can hold to: its memory limit
// makes the collector work, and the Pool ends it in time. There is nothing here
// that keeps it from files and from the network.
func confine(order) (Confinement, error) { return 0, nil }

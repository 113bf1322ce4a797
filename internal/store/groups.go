package store

import "sync/atomic"

// GroupSizes counts how many callers shared each commit, by powers of two: the
// first bucket holds groups of 1, the next of up to 2, up to 4, and so on.
type GroupSizes struct {
	buckets [9]atomic.Int64
	units   atomic.Int64
}

func (g *GroupSizes) observe(n int) {
	i := 0
	for 1<<i < n && i < len(g.buckets)-1 {
		i++
	}
	g.buckets[i].Add(1)
	g.units.Add(int64(n))
}

// Commits is how many groups were written, and Units how many callers' writes
// were in them, since the start.
func (g *GroupSizes) Commits() int64 {
	var sum int64
	for i := range g.buckets {
		sum += g.buckets[i].Load()
	}
	return sum
}

// Units is how many callers' writes the commits held.
func (g *GroupSizes) Units() int64 { return g.units.Load() }

// Buckets returns upper bounds and counts.
func (g *GroupSizes) Buckets() (bounds []int, counts []int64) {
	for i := range g.buckets {
		bounds, counts = append(bounds, 1<<i), append(counts, g.buckets[i].Load())
	}
	return bounds, counts
}

// Groups are the sizes of this store's commits.
func (db *DB) Groups() *GroupSizes { return &db.groups }

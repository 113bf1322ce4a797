package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"

	"openmail"
	"openmail/api"
)

// pageSize is how many rows the iterators ask for at once, the most that a
// server gives.
const pageSize = 100

// pageQuery adds a page to a query. What is zero is left out: the server's
// default is 50 rows from the start.
func pageQuery(q url.Values, p openmail.Page) url.Values {
	if q == nil {
		q = url.Values{}
	}
	if p.Limit != 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Offset != 0 {
		q.Set("offset", strconv.Itoa(p.Offset))
	}
	return q
}

// all walks a counted list to its end, page by page. A row that is added while
// it walks may come twice, and one that is deleted may hide another.
func all[T any](p openmail.Page, page func(openmail.Page) (api.List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if p.Limit == 0 {
			p.Limit = pageSize
		}
		for {
			list, err := page(p)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, row := range list.Data {
				if !yield(row, nil) {
					return
				}
			}
			p.Offset += len(list.Data)
			if len(list.Data) == 0 || p.Offset >= list.Total {
				return
			}
		}
	}
}

// rows fetches a list that is never paged.
func rows[T any](ctx context.Context, c *Client, r request) ([]T, error) {
	list, err := fetch[api.Rows[T]](ctx, c, r)
	return list.Data, err
}

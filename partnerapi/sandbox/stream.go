package sandbox

import (
	"encoding/json"
	"net/http"
	"strconv"
)

const streamed = 500 // records that are copied at a time, so that nobody else waits for long

// stream writes a long list as a JSON array, an entry on each line. limit and offset in the query choose a part of it.
func (s *Sandbox) stream(w http.ResponseWriter, r *http.Request, from func(start, n int) []any) {
	q := r.URL.Query()
	offset, limit := 0, -1
	for name, to := range map[string]*int{"offset": &offset, "limit": &limit} {
		if !q.Has(name) {
			continue
		}
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < 0 {
			writeIndented(w, http.StatusBadRequest, map[string]string{"error": name + ": want a number from 0 on"})
			return
		}
		*to = n
	}
	recordHeaders(w)
	w.WriteHeader(http.StatusOK)
	// What can't be written has lost its reader: nobody is left to be told.
	separator := "[\n"
	for more := true; more; {
		n := streamed
		if limit >= 0 {
			n = min(n, limit)
		}
		part := from(offset, n)
		for _, v := range part {
			body, err := json.Marshal(v)
			if err != nil {
				return
			}
			if _, err := w.Write(append([]byte(separator), body...)); err != nil {
				return
			}
			separator = ",\n"
		}
		offset += n
		if limit >= 0 {
			limit -= n
		}
		more = n > 0 && len(part) == n
	}
	if separator == "[\n" {
		_, _ = w.Write([]byte("["))
	}
	_, _ = w.Write([]byte("\n]\n"))
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

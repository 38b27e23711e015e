package sandbox

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Shape is a form of error body.
type Shape string

// The shapes. ShapePublished is an array on most calls and a single object on authorization
// failures; the others are what gateways and proxies make of it.
const (
	ShapePublished Shape = ""
	ShapeArray     Shape = "array"
	ShapeObject    Shape = "object"
	ShapeEmpty     Shape = "empty"
	ShapeHTML      Shape = "html"
	ShapeGarbage   Shape = "garbage"
)

var shapes = map[Shape]bool{ShapePublished: true, ShapeArray: true, ShapeObject: true, ShapeEmpty: true,
	ShapeHTML: true, ShapeGarbage: true}

// reply is an answer before it is sent, so that faults can change it.
type reply struct {
	status      int
	contentType string
	body        []byte
	outcome     string // for the ledger
	key         string // error_key of a refusal
	cut         bool   // no answer: the connection is closed
	retryAfter  string // a header; "": none
	location    string // a header; "": none
}

// apiError is an error object as the partner API sends it.
type apiError struct {
	Key     string `json:"error_key"`
	Message string `json:"error_message"`
}

// jsonReply answers with a JSON value.
func jsonReply(status int, value any, outcome string) reply {
	body, err := json.Marshal(value)
	if err != nil {
		return reply{status: http.StatusInternalServerError, outcome: "could not encode the answer: " + err.Error()}
	}
	return reply{status: status, contentType: "application/json", body: body, outcome: outcome}
}

// refuse answers with an error in the published shape of a partner call, an array.
func (s *Sandbox) refuse(status int, list ...apiError) reply {
	return s.shaped(status, ShapeArray, list)
}

// refuseAuth answers with an error in the published shape of an authorization failure, one object.
func (s *Sandbox) refuseAuth(status int, key, message string) reply {
	return s.shaped(status, ShapeObject, []apiError{{key, message}})
}

func (s *Sandbox) shaped(status int, published Shape, list []apiError) reply {
	s.mu.Lock()
	shape := s.shape
	s.mu.Unlock()
	if shape == ShapePublished {
		shape = published
	}
	a := reply{status: status, outcome: list[0].Key + ": " + list[0].Message}
	switch shape {
	case ShapeObject:
		a = jsonReply(status, list[0], a.outcome)
	case ShapeEmpty:
	case ShapeHTML:
		a.contentType = "text/html; charset=utf-8"
		a.body = []byte("<html><head><title>" + strconv.Itoa(status) + "</title></head><body><h1>" + http.StatusText(status) +
			"</h1><hr>gateway</body></html>")
	case ShapeGarbage:
		a.contentType, a.body = "application/json", []byte("[{\"error_key\": \"thr\x00\xff")
	default:
		a = jsonReply(status, list, a.outcome)
	}
	a.key = list[0].Key
	return a
}

// write sends a reply.
func (a reply) write(w http.ResponseWriter) {
	if a.cut {
		// The way to close a connection without an answer.
		panic(http.ErrAbortHandler)
	}
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	w.Header().Set("Cache-Control", "no-store")
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that has gone gets nothing, and nobody else is to be told
}

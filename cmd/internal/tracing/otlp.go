package tracing

import (
	"encoding/binary"
	"errors"
	"time"
)

// message is a protobuf message that is written (protobuf.dev/programming-guides/encoding). A field that has its zero
// value is left out, as proto3 wants it.
type message []byte

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func (m *message) tag(field, wire uint64) { *m = binary.AppendUvarint(*m, field<<3|wire) }

func (m *message) varint(field, value uint64) {
	if value != 0 {
		m.tag(field, wireVarint)
		*m = binary.AppendUvarint(*m, value)
	}
}

func (m *message) fixed64(field, value uint64) {
	m.tag(field, wireFixed64)
	*m = binary.LittleEndian.AppendUint64(*m, value)
}

func (m *message) bytes(field uint64, value []byte) {
	if len(value) > 0 {
		m.within(field, value)
	}
}

func (m *message) string(field uint64, value string) { m.bytes(field, []byte(value)) }

// within adds a message, which may be empty.
func (m *message) within(field uint64, inner []byte) {
	m.tag(field, wireBytes)
	*m = binary.AppendUvarint(*m, uint64(len(inner)))
	*m = append(*m, inner...)
}

// attribute adds a KeyValue (common.proto).
func (m *message) attribute(field uint64, a attribute) {
	var value, pair message
	if a.text != "" {
		value.string(1, a.text)
	} else {
		value.tag(3, wireVarint) // a number, 0 too
		value = binary.AppendUvarint(value, uint64(a.number))
	}
	pair.string(1, a.key)
	pair.within(2, value)
	m.within(field, pair)
}

// encoded is an ExportTraceServiceRequest of these spans (opentelemetry-proto, collector/trace/v1 and trace/v1).
func (t *Tracer) encoded(spans []*span) []byte {
	var resource, scope, scoped, all, request message
	for _, a := range []attribute{{key: "service.name", text: "ssobridge"}, {key: "service.version", text: t.o.Version()},
		{key: "service.instance.id", text: t.o.Instance}} {
		if a.text != "" {
			resource.attribute(1, a)
		}
	}
	scope.string(1, "ssobridge")
	scope.string(2, t.o.Version())
	scoped.within(1, scope)
	for _, s := range spans {
		scoped.within(2, t.span(s))
	}
	all.within(1, resource)
	all.within(2, scoped)
	request.within(1, all)
	return request
}

func (t *Tracer) span(s *span) message {
	name, kind, attributes := t.described(s)
	var m message
	m.bytes(1, s.trace.id[:])
	m.bytes(2, s.id[:])
	if s.parent != (spanID{}) {
		m.bytes(4, s.parent[:])
	}
	m.string(5, name)
	m.varint(6, kind)
	m.fixed64(7, nanos(s.began))
	// By the monotonic clock: a clock that was set back must not end a span before it began.
	m.fixed64(8, nanos(s.began)+uint64(max(0, s.ended.Sub(s.began))))
	for _, a := range attributes {
		m.attribute(9, a)
	}
	if s.failed {
		var status message
		status.varint(3, 2) // STATUS_CODE_ERROR, without a text
		m.within(15, status)
	}
	return m
}

func nanos(t time.Time) uint64 { return uint64(max(0, t.UnixNano())) }

var errNoMessage = errors.New("it is no protobuf")

// rejected reads how many spans of a request the collector refused, of its ExportTraceServiceResponse:
// partial_success (1) has rejected_spans (1).
func rejected(response []byte) (n int64, err error) {
	partial, err := field(response, 1)
	if err != nil || partial.bytes == nil {
		return 0, err
	}
	spans, err := field(partial.bytes, 1)
	return int64(spans.number), err
}

type value struct {
	number uint64
	bytes  []byte
}

// field finds the last field of that number in a message.
func field(data []byte, wanted uint64) (found value, err error) {
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return found, errNoMessage
		}
		data = data[n:]
		var v value
		switch tag & 7 {
		case wireVarint:
			v.number, n = binary.Uvarint(data)
		case wireBytes:
			length, before := binary.Uvarint(data)
			if before <= 0 || length > uint64(len(data)-before) {
				return found, errNoMessage
			}
			n = before + int(length)
			v.bytes = data[before:n]
		case wireFixed64:
			n = 8
		case wireFixed32:
			n = 4
		default:
			return found, errNoMessage
		}
		if n <= 0 || n > len(data) {
			return found, errNoMessage
		}
		data = data[n:]
		if tag>>3 == wanted {
			found = v
		}
	}
	return found, nil
}

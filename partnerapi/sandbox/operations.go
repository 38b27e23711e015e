package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of a call on behalf of a client account, none of which is published.
const (
	maxOperationURL    = 2_000
	maxOperationParams = 50
	maxOperationKey    = 100
	maxOperationValue  = 2_000
	maxPayload         = 256 << 10
	maxOperations      = 10_000 // that it remembers
)

// Operation is a call that was made on behalf of a client account.
type Operation struct {
	At      time.Time `json:"at"`
	Account string    `json:"encoded_account_id"`
	Method  string    `json:"method"`
	Path    string    `json:"path"` // its placeholders filled in
	Payload string    `json:"payload,omitempty"`
	Status  int       `json:"status"`
}

// Operations is a copy of the calls on behalf of client accounts, oldest first.
func (s *Sandbox) Operations() []Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Operation{}, s.operations...)
}

// operationRequest is the body of POST …/account_operations/sync.
type operationRequest struct {
	URL     *string `json:"account_operation_url"`
	Method  *string `json:"account_operation_method"`
	Payload *string `json:"account_operation_payload"`
	Query   []struct {
		Key   *string `json:"query_param_key"`
		Value *string `json:"query_param_value"`
	} `json:"account_operation_query_parameters"`
	Path []struct {
		Key   *string `json:"path_param_key"`
		Value *string `json:"path_param_value"`
	} `json:"account_operation_path_parameters"`
	Headers []struct {
		Key   *string `json:"header_key"`
		Value *string `json:"header_value"`
	} `json:"account_operation_headers"`
}

var (
	operationMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	operationForm    = regexp.MustCompile(`^(/([A-Za-z0-9_.~-]+|\{[A-Za-z0-9_]+\}))+$`)
	placeholder      = regexp.MustCompile(`\{[A-Za-z0-9_]+\}`)
	segment          = regexp.MustCompile(`^[A-Za-z0-9_.~@+-]+$`)
)

// operate is POST …/account_operations/sync. Of the V3 API it knows the contacts and the summary of the account; 200 is
// the one status that is published for whatever works.
func (s *Sandbox) operate(c apiCall) reply {
	o, f := readOperation(c.body)
	if len(f.list) > 0 {
		return s.refuse(http.StatusBadRequest, f.list...)
	}
	o.At, o.Account = s.o.Now(), c.account
	s.mu.Lock()
	var answer any
	a, faults, status := s.active(c.account)
	if a != nil {
		answer, status, faults = s.behalf(a, o)
		o.Status = status
		if len(s.operations) >= maxOperations {
			s.operations = slices.Delete(s.operations, 0, maxOperations/10)
		}
		s.operations = append(s.operations, o)
	}
	s.mu.Unlock()
	if len(faults) > 0 {
		return s.refuse(status, faults...)
	}
	return jsonReply(http.StatusOK, answer, o.Method+" "+o.Path+" on behalf of "+c.account)
}

// readOperation reads and checks a body.
func readOperation(body []byte) (Operation, faultList) {
	var in operationRequest
	f := readBody(body, &in)
	if len(f.list) > 0 {
		return Operation{}, f
	}
	o := Operation{
		Method: f.text("account_operation_method", in.Method, true, 1, 10),
		Path:   strings.TrimPrefix(f.text("account_operation_url", in.URL, true, 1, maxOperationURL), APIPath+"/"),
	}
	if o.Path != "" && !strings.HasPrefix(o.Path, "/") {
		o.Path = "/" + o.Path // it was below the version
	}
	f.matches("account_operation_url", in.URL, operationForm, "must be a path of the V3 API, its placeholders in braces")
	if strings.Contains(o.Path+"/", "/./") || strings.Contains(o.Path+"/", "/../") {
		f.add("account_operation_url", "must not have dot segments")
	}
	if in.Method != nil && !slices.Contains(operationMethods, *in.Method) {
		f.add("account_operation_method", fmt.Sprintf("must be one of %v", operationMethods))
	}
	if in.Payload != nil {
		o.Payload = *in.Payload
		switch {
		case len(o.Payload) > maxPayload:
			f.add("account_operation_payload", "is too large")
		case !json.Valid([]byte(o.Payload)):
			f.add("account_operation_payload", "is not JSON")
		}
	}
	if max(len(in.Query), len(in.Path), len(in.Headers)) > maxOperationParams {
		f.add("a list", fmt.Sprintf("must not have more than %d entries", maxOperationParams))
	}
	if len(f.list) > 0 {
		return o, f
	}
	for i, p := range in.Query {
		f.text(fmt.Sprintf("query_param_key[%d]", i), p.Key, true, 1, maxOperationKey)
		f.text(fmt.Sprintf("query_param_value[%d]", i), p.Value, true, 0, maxOperationValue)
	}
	for i, p := range in.Headers {
		f.text(fmt.Sprintf("header_key[%d]", i), p.Key, true, 1, maxOperationKey)
		f.text(fmt.Sprintf("header_value[%d]", i), p.Value, true, 0, maxOperationValue)
	}
	values := map[string]string{}
	for i, p := range in.Path {
		key := f.text(fmt.Sprintf("path_param_key[%d]", i), p.Key, true, 1, maxOperationKey)
		value := f.text(fmt.Sprintf("path_param_value[%d]", i), p.Value, true, 1, maxOperationValue)
		if !segment.MatchString(value) || value == "." || value == ".." {
			f.add(fmt.Sprintf("path_param_value[%d]", i), "is no segment of a path")
		}
		values["{"+key+"}"] = value
	}
	o.Path = placeholder.ReplaceAllStringFunc(o.Path, func(name string) string {
		value, ok := values[name]
		if !ok {
			f.add("account_operation_path_parameters", "has nothing for "+name)
		}
		return value
	})
	return o, f
}

// behalf makes the call. s.mu is held.
func (s *Sandbox) behalf(a *Account, o Operation) (answer any, status int, faults []apiError) {
	list := s.contactsOf(a.ID)
	switch o.Method + " " + o.Path {
	case "GET /contacts":
		shown := []contact{}
		for _, c := range list {
			shown = append(shown, *c)
		}
		slices.SortFunc(shown, func(a, b contact) int { return strings.Compare(a.Email, b.Email) })
		return map[string]any{"contacts": shown, "contacts_count": len(shown)}, http.StatusOK, nil
	case "POST /contacts":
		var in struct {
			Email struct {
				Address string `json:"address"`
			} `json:"email_address"`
		}
		switch err := json.Unmarshal([]byte(o.Payload), &in); {
		case err != nil || utf8.RuneCountInString(in.Email.Address) > 80 || !mailForm.MatchString(in.Email.Address):
			return nil, http.StatusBadRequest, []apiError{{"contacts.api.validation.error", "email_address.address is no " +
				"e-mail address"}}
		case list[fold(in.Email.Address)] != nil:
			return nil, http.StatusBadRequest, []apiError{{"contacts.api.conflict", "the contact is there already"}}
		case len(list) >= maxContacts:
			return nil, http.StatusBadRequest, []apiError{{"contacts.api.full", "the account has too many contacts"}}
		}
		c := &contact{ID: s.random(16), Email: in.Email.Address}
		list[fold(c.Email)] = c
		return *c, http.StatusOK, nil
	case "GET /account/summary":
		return map[string]any{"encoded_account_id": a.ID, "organization_name": a.OrganizationName}, http.StatusOK, nil
	}
	if id, ok := strings.CutPrefix(o.Path, "/contacts/"); ok && (o.Method == http.MethodGet ||
		o.Method == http.MethodDelete) {
		for key, c := range list {
			if c.ID != id {
				continue
			}
			if o.Method == http.MethodDelete {
				delete(list, key)
			}
			return *c, http.StatusOK, nil
		}
	}
	return nil, http.StatusNotFound, []apiError{{"not_found", "the sandbox knows no " + o.Method + " " +
		o.Path[:min(len(o.Path), 100)]}}
}

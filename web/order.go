package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/store"
)

const orderPath = "/order"

// Orders are what people order for themselves.
type Orders interface {
	Order(ctx context.Context, follow int64, v idp.Visitor) (idp.Answer, error)
	PlaceOrder(ctx context.Context, in provisioning.SelfOrderInput, v idp.Visitor) (idp.Answer, error)
	OrderProgress(ctx context.Context, follow int64, v idp.Visitor) (st provisioning.SelfOrderState, ready bool, err error)
}

// order shows the form of an order, or how the person's order stands. A link to it alone orders nothing.
func (s *Server) order(c echo.Context) error {
	if err := navigated(c); err != nil {
		return err
	}
	v := visitOf(c)
	follow, err := followed(c)
	if err != nil {
		return err
	}
	if err := s.ensureBrowser(c, v); err != nil {
		return err
	}
	a, err := s.idp.Order(c.Request().Context(), follow, v.visitor())
	if err != nil {
		return fmt.Errorf("show a person's order: %w", err)
	}
	return s.answer(c, v, a, orderPath)
}

// followed is the number of the order whose end a page has waited for; 0 for none. It only ever selects from the
// person's own.
func followed(c echo.Context) (int64, error) {
	f, err := query(c)
	if err != nil || f["n"] == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(f["n"], 10, 64)
	if err != nil || n < 1 {
		return 0, refuse(http.StatusBadRequest, badLink, errors.New("no number of an order"))
	}
	return n, nil
}

// placeOrder takes the form. The same form again is the same order: its person has one at a time.
func (s *Server) placeOrder(c echo.Context) error {
	v := visitOf(c)
	f, err := s.form(c, v)
	if err != nil {
		if r := (*refusal)(nil); errors.As(err, &r) {
			r.again = orderPath
		}
		return err
	}
	a, err := s.idp.PlaceOrder(c.Request().Context(), provisioning.SelfOrderInput{
		Organization: bounded(f["organization"]), State: bounded(f["state"]), Mail: bounded(f["mail"]),
		FirstName: bounded(f["first_name"]), LastName: bounded(f["last_name"]),
	}, v.visitor())
	if err != nil {
		return fmt.Errorf("place a person's order: %w", err)
	}
	return s.answer(c, v, a, orderPath)
}

// maxOrderField is longer than any field of an order can be, in bytes: what is longer is cut, and then refused.
const maxOrderField = 512

func bounded(text string) string { return text[:min(len(text), maxOrderField)] }

// orderProgress is what the script of the waiting page asks.
func (s *Server) orderProgress(c echo.Context) error {
	follow, err := followed(c)
	if err != nil {
		return err
	}
	st, ready, err := s.idp.OrderProgress(c.Request().Context(), follow, visitOf(c).visitor())
	if err != nil {
		return fmt.Errorf("progress of a person's order: %w", err)
	}
	answer := struct {
		Ready   bool   `json:"ready"`
		Message string `json:"message"`
		Poll    int64  `json:"poll"` // milliseconds
	}{Ready: ready, Message: s.in(c).texts.text("wait.ready"), Poll: s.orderPoll(st).Milliseconds()}
	if !ready {
		answer.Message = s.in(c).texts.text(orderSays(st))
	}
	return c.JSON(http.StatusOK, answer)
}

type orderView struct {
	token
	Login, Country            string
	Input                     provisioning.SelfOrderInput
	Wrong                     map[string]bool
	Approval                  bool
	Problem                   string // text, "" for none
	Organization, Mail, Names int    // most characters
}

func (s *Server) showOrderForm(c echo.Context, v *visit, p idp.OrderForm) error {
	view := orderView{token: s.token(v, ""), Login: p.Login, Country: p.Country, Input: p.Input, Wrong: p.Faults,
		Approval: p.Approval, Organization: 50, Mail: 80, Names: 80}
	status := http.StatusOK
	switch {
	case p.Problem != "":
		view.Problem, status = s.in(c).texts.text("order.problem."+p.Problem), http.StatusConflict
	case len(p.Faults) > 0:
		view.Problem, status = s.in(c).texts.text("order.problem.fields"), http.StatusUnprocessableEntity
	}
	return s.show(c, status, "order", policy{}, view)
}

type orderStandsView struct {
	Organization string
	Message      string
	Waits        bool // it goes on by itself
	Approval     bool // it waits for an administrator
	Again        bool // another one can be ordered
	Poll         int64
	Refresh      int64
	Ask, Next    string
	Number       int64
}

func (s *Server) showOrder(c echo.Context, p idp.OrderStands) error {
	o := p.State.Order
	number := strconv.FormatInt(o.ID, 10)
	poll := s.orderPoll(p.State)
	view := orderStandsView{Organization: o.OrganizationName, Message: s.in(c).texts.text(orderSays(p.State)),
		Waits: o.Open(), Approval: o.State == store.SelfOrderWaiting, Again: !o.Open(), Poll: poll.Milliseconds(),
		Refresh: max(3, int64(poll/time.Second)), Ask: orderPath + "/progress?n=" + number, Next: orderPath + "?n=" + number,
		Number: o.ID}
	return s.show(c, http.StatusOK, "ordered", policy{script: o.Open(), connect: o.Open()}, view)
}

// orderSays is the key of the sentence that says how an order stands.
func orderSays(st provisioning.SelfOrderState) string {
	if st.Order.State != store.SelfOrderOrdered {
		return "order.state." + st.Order.State
	}
	switch st.Request.State {
	case store.RequestWanted:
		return "order.state.queued"
	case store.RequestAccepted:
		return "order.state.accepted"
	case store.RequestUnknown:
		return "order.state.unknown"
	}
	return "order.state.sending"
}

// orderPoll is how long to leave before asking again: seldom while an administrator has to look.
func (s *Server) orderPoll(st provisioning.SelfOrderState) time.Duration {
	switch {
	case st.Order.State == store.SelfOrderWaiting:
		return 30 * time.Second
	case st.Request.State == store.RequestUnknown, st.Request.State == store.RequestAccepted && st.Request.Account == "":
		return 15 * time.Second
	case s.now().Sub(st.Request.CreatedAt) > time.Minute:
		return 5 * time.Second
	}
	return time.Second
}

// leadToOrdered leads to the client account that was ordered: its launch signs the person in as its owner.
func (s *Server) leadToOrdered(c echo.Context, p idp.OrderReady) error {
	return c.Redirect(http.StatusSeeOther, launchPath+"/"+url.PathEscape(string(p.Account)))
}

func (s *Server) leadToOrder(c echo.Context, p idp.OrderPage) error {
	path := orderPath
	if p.Follow > 0 {
		path += "?n=" + strconv.FormatInt(p.Follow, 10)
	}
	return c.Redirect(http.StatusSeeOther, path)
}

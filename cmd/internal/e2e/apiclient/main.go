// Command apiclient takes a bridge from its empty store to somebody who can sign in, by nothing but a client that
// oapi-codegen has generated from the document of the REST API. It is a module of its own: neither the generator nor what
// generated code needs is a dependency of the bridge. A test generates the client and runs it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

const patience = 90 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "apiclient: error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	token := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
		return nil
	}
	c, err := NewClientWithResponses(os.Getenv("BRIDGE"), WithRequestEditorFn(token),
		WithHTTPClient(&http.Client{Timeout: 30 * time.Second}))
	if err != nil {
		return err
	}
	switch {
	case len(args) == 5 && args[0] == "open":
		return open(ctx, c, args[1], args[2], args[3], args[4])
	case len(args) == 2 && args[0] == "look":
		return look(ctx, c, args[1])
	}
	return errors.New("want open ENTITY-ID ACS OWNER MEMBER, or look ACCOUNT")
}

// refused is an error for an answer that is not the one of success.
func refused(what string, p *Problem, r *http.Response) error {
	if p != nil {
		return fmt.Errorf("%s: %d %s: %s (reference %s)", what, p.Status, p.Code, p.Detail, p.Reference)
	}
	return fmt.Errorf("%s: status %d", what, r.StatusCode)
}

// open registers Constant Contact, orders a client account for its owner, gives it to a second person too, and prints
// where both are sent.
func open(ctx context.Context, c *ClientWithResponses, entityID, acs, owner, member string) error {
	key := func(text string) *string { return &text }
	status, err := c.GetStatusWithResponse(ctx)
	if err != nil {
		return err
	}
	if status.JSON200 == nil {
		return refused("read the status", status.ApplicationproblemJSONDefault, status.HTTPResponse)
	}
	sp, err := c.AddConstantContactWithResponse(ctx, &AddConstantContactParams{IdempotencyKey: key("provider")},
		ConstantContactInput{EntityId: entityID, Acs: &acs})
	if err != nil {
		return err
	}
	if sp.JSON201 == nil {
		return refused("register Constant Contact", sp.ApplicationproblemJSONDefault, sp.HTTPResponse)
	}
	state, zone := "MA", "US/Eastern"
	order, err := c.CreateAccountWithResponse(ctx, &CreateAccountParams{IdempotencyKey: key("order")},
		AccountInput{Owner: owner, OrganizationName: "Generated Books", CountryCode: "us", StateCode: &state,
			TimeZoneId: &zone}, func(_ context.Context, r *http.Request) error {
			r.Header.Set("Prefer", "wait=10")
			return nil
		})
	if err != nil {
		return err
	}
	if order.JSON202 == nil {
		return refused("order a client account", order.ApplicationproblemJSONDefault, order.HTTPResponse)
	}
	operation := *order.JSON202
	for !operation.Done {
		if err := pause(ctx); err != nil {
			return fmt.Errorf("wait for the client account, which is %s: %w", operation.State, err)
		}
		read, err := c.GetOperationWithResponse(ctx, *operation.Id)
		if err != nil {
			return err
		}
		if read.JSON200 == nil {
			return refused("read the order", read.ApplicationproblemJSONDefault, read.HTTPResponse)
		}
		operation = *read.JSON200
	}
	if operation.State != "created" || operation.Account == nil {
		return fmt.Errorf("the order came to %s: %v", operation.State, operation.Error)
	}
	account := *operation.Account
	role := MappingInputRole("campaign_creator")
	mapped, err := c.CreateMappingWithResponse(ctx, &CreateMappingParams{IdempotencyKey: key("mapping")},
		MappingInput{Person: &member, Account: &account, Role: &role})
	if err != nil {
		return err
	}
	if mapped.JSON201 == nil {
		return refused("map a person", mapped.ApplicationproblemJSONDefault, mapped.HTTPResponse)
	}
	if err := create(ctx, c, account, member); err != nil {
		return err
	}
	b, err := c.GetButtonWithResponse(ctx, account)
	if err != nil {
		return err
	}
	if b.JSON200 == nil || b.JSON200.LaunchUrl == nil {
		return refused("read where people are sent", b.ApplicationproblemJSONDefault, b.HTTPResponse)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]string{"account": account, "launch": *b.JSON200.LaunchUrl})
}

// create has the user of a person created, and waits until it is there.
func create(ctx context.Context, c *ClientWithResponses, account, who string) error {
	key := "user"
	asked, err := c.CreateUserWithResponse(ctx, account, &CreateUserParams{IdempotencyKey: &key}, WhoInput{Who: who})
	if err != nil {
		return err
	}
	if asked.JSON202 == nil {
		return refused("create a user", asked.ApplicationproblemJSONDefault, asked.HTTPResponse)
	}
	for user := *asked.JSON202; user.State != "active"; {
		if err := pause(ctx); err != nil {
			return fmt.Errorf("wait for the user, who is %s: %w", user.State, err)
		}
		read, err := c.GetUserWithResponse(ctx, account, who)
		if err != nil {
			return err
		}
		if read.JSON200 == nil {
			return refused("read a user", read.ApplicationproblemJSONDefault, read.HTTPResponse)
		}
		user = *read.JSON200
	}
	return nil
}

// look prints how many people use a client account, and how often somebody's first sign-in to it is among the events.
func look(ctx context.Context, c *ClientWithResponses, account string) error {
	use, err := c.ListAdoptionWithResponse(ctx, &ListAdoptionParams{Find: &account})
	if err != nil {
		return err
	}
	if use.JSON200 == nil || len(use.JSON200.Items) != 1 {
		return refused("read the adoption", use.ApplicationproblemJSONDefault, use.HTTPResponse)
	}
	first, after := 0, int64(0)
	for {
		events, err := c.ListEventsWithResponse(ctx, &ListEventsParams{After: &after})
		if err != nil {
			return err
		}
		if events.JSON200 == nil {
			return refused("follow the events", events.ApplicationproblemJSONDefault, events.HTTPResponse)
		}
		for _, e := range events.JSON200.Items {
			if e.Action == "first-sign-in" && e.Account != nil && *e.Account == account {
				first++
			}
		}
		if len(events.JSON200.Items) == 0 {
			break
		}
		after = events.JSON200.After
	}
	u := use.JSON200.Items[0]
	return json.NewEncoder(os.Stdout).Encode(map[string]int{"entitled": int(u.Entitled), "created": int(u.Created),
		"signed_in": int(u.SignedIn), "first_sign_ins": first})
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(200 * time.Millisecond):
		return nil
	}
}

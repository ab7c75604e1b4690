package mosaik

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
)

// extensionTickets is the type of the entry extension that carries tickets.
const extensionTickets = 1

// AddTicket adds t to what every peer can read about this process. Groups that require
// tickets then validate those of this process again, here and on the other members. Adding
// a ticket twice changes nothing. To renew a ticket without losing a connection, add the new
// one before the old one expires or is removed. An error names the limit of package ticket
// that the tickets would exceed.
func (n *Network) AddTicket(t ticket.Ticket) error {
	return n.changeTickets("add", t, func(tickets []ticket.Ticket) []ticket.Ticket {
		if slices.ContainsFunc(tickets, sameTicket(t)) {
			return tickets
		}
		return append(tickets, t)
	})
}

// RemoveTicket removes t from what peers can read about this process. Bonds of groups that
// require it end, unless another ticket is accepted in its place. Removing an unknown ticket
// changes nothing.
func (n *Network) RemoveTicket(t ticket.Ticket) error {
	return n.changeTickets("remove", t, func(tickets []ticket.Ticket) []ticket.Ticket {
		return slices.DeleteFunc(tickets, sameTicket(t))
	})
}

func sameTicket(t ticket.Ticket) func(ticket.Ticket) bool {
	return func(o ticket.Ticket) bool { return o.Class == t.Class && string(o.Data) == string(t.Data) }
}

func (n *Network) changeTickets(verb string, t ticket.Ticket, change func([]ticket.Ticket) []ticket.Ticket) error {
	fail := func(err error) error {
		return fmt.Errorf("mosaik: %s ticket of class %s: %w", verb, t.Class.Short(), err)
	}
	if err := t.Validate(); err != nil {
		return fail(err)
	}
	n.ticketsMu.Lock()
	defer n.ticketsMu.Unlock()
	tickets := change(slices.Clone(n.tickets))
	encoded, err := ticket.Encode(tickets)
	if err != nil {
		return fail(err)
	}
	if _, err := n.catalog.Update(func(e *discovery.Entry) {
		e.Extensions = slices.DeleteFunc(e.Extensions, isTickets)
		if len(tickets) > 0 {
			e.Extensions = append(e.Extensions, discovery.Extension{Type: extensionTickets, Data: encoded})
		}
	}); err != nil {
		return fail(err)
	}
	n.tickets = tickets
	return nil
}

func isTickets(x discovery.Extension) bool { return x.Type == extensionTickets }

// ticketsOf returns the tickets in a peer's entry, none if they are malformed.
func ticketsOf(e discovery.Signed) []ticket.Ticket {
	for _, data := range e.Extension(extensionTickets) {
		if tickets, err := ticket.Decode(data); err == nil {
			return tickets
		}
	}
	return nil
}

// recheck makes the groups that require tickets validate those of a peer again, if its new
// entry e has other tickets than the entry before. That is zero if there was none. The
// catalog calls it.
func (n *Network) recheck(e, before discovery.Signed) {
	if e.Peer == n.Self() || slices.EqualFunc(e.Extension(extensionTickets), before.Extension(extensionTickets), bytes.Equal) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, j := range n.groups {
		if len(j.validators) > 0 {
			n.rechecks.Add(1)
			j.core.Recheck(e.Peer)
		}
	}
	for _, o := range n.openings {
		if len(o.validators) > 0 {
			o.changed[e.Peer] = true
		}
	}
}

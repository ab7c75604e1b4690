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

// AddTicket shows t to every peer from now on; the groups of both sides look at
// it at once. Adding a ticket that is there already changes nothing. To refresh
// a ticket without losing a bond, add the new one before the old one expires or
// is removed. The error says which limit of package ticket the peer's tickets
// would exceed.
func (n *Network) AddTicket(t ticket.Ticket) error {
	return n.changeTickets("add", t, func(tickets []ticket.Ticket) []ticket.Ticket {
		if slices.ContainsFunc(tickets, sameTicket(t)) {
			return tickets
		}
		return append(tickets, t)
	})
}

// RemoveTicket stops showing t. Bonds that no other ticket supports end.
// Removing a ticket that is not there changes nothing.
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

// ticketsOf returns the tickets that a peer's entry carries. Malformed ones are
// none.
func ticketsOf(e discovery.Signed) []ticket.Ticket {
	for _, data := range e.Extension(extensionTickets) {
		if tickets, err := ticket.Decode(data); err == nil {
			return tickets
		}
	}
	return nil
}

// recheck lets the groups that a peer's new entry concerns look at its tickets
// again: none if the entry carries the same tickets as the one before, which is
// zero for none, and otherwise those that require tickets.
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
}

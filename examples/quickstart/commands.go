package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mosaik-go/mosaik/examples/quickstart/ledger"
	"github.com/mosaik-go/mosaik/mosaik"
)

// command is a command of the prompt.
type command struct {
	name   string
	args   string // its arguments; those in brackets are optional
	help   string
	online bool // requires that the group is online
	run    func(n *node, ctx context.Context, args []string) error
}

// commands returns the commands of the prompt, in the order of the help.
func commands() []command {
	return []command{
		{"deposit", "ACCOUNT AMOUNT", "pay into an account", true, (*node).deposit},
		{"transfer", "FROM TO AMOUNT", "move money between accounts", true, (*node).transfer},
		{"balance", "ACCOUNT [weak]", "what an account holds; weak: as far as this node knows", true, (*node).balance},
		{"accounts", "[weak]", "what every account holds", true, (*node).accounts},
		{"leader", "", "who leads", false, (*node).leader},
		{"status", "", "the members of the group", false, (*node).status},
		{"help", "", "this list", false, (*node).help},
		{"quit", "", "leave the group and end", false, nil},
	}
}

// errUsage reports wrong arguments.
var errUsage = errors.New("wrong arguments")

// call runs a typed command and prints its error.
func (n *node) call(ctx context.Context, words []string) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	for _, c := range commands() {
		if c.name != words[0] || c.run == nil {
			continue
		}
		var err error
		if c.online {
			err = n.group.When().Online(ctx)
		}
		if err == nil {
			err = c.run(n, ctx, words[1:])
		}
		switch {
		case errors.Is(err, errUsage):
			n.say("usage: %s %s", c.name, c.args)
		case mosaik.OutcomeOf(err) == mosaik.Unknown:
			n.say("unknown: %v", err)
		case err != nil:
			n.say("error: %v", err)
		}
		return
	}
	n.say("error: there is no command %q; try help", words[0])
}

func (n *node) deposit(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	amount, err := parseAmount(args[1])
	if err != nil {
		return err
	}
	balance, err := mosaik.Execute(ctx, n.group, ledger.Deposit{Account: args[0], Amount: amount})
	if err != nil {
		return err
	}
	n.say("%s holds %d", args[0], balance.Value)
	return nil
}

func (n *node) transfer(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	amount, err := parseAmount(args[2])
	if err != nil {
		return err
	}
	after, err := mosaik.Execute(ctx, n.group, ledger.Transfer{From: args[0], To: args[1], Amount: amount})
	if err != nil {
		return err
	}
	n.say("%s holds %d, %s holds %d", args[0], after.Value.From, args[1], after.Value.To)
	return nil
}

func parseAmount(text string) (int64, error) {
	amount, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the amount %q is not a whole number that fits", text)
	}
	return amount, nil
}

func (n *node) balance(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	consistency, err := parseConsistency(args[1:])
	if err != nil {
		return err
	}
	answer, err := mosaik.Query(ctx, n.group, ledger.Balance{Account: args[0]}, consistency)
	if err != nil {
		return err
	}
	n.say("%s holds %d, as of command %d (%v)", args[0], answer.Value, answer.Index, consistency)
	return nil
}

func (n *node) accounts(ctx context.Context, args []string) error {
	consistency, err := parseConsistency(args)
	if err != nil {
		return err
	}
	answer, err := mosaik.Query(ctx, n.group, ledger.Accounts{}, consistency)
	if err != nil {
		return err
	}
	for _, a := range answer.Value {
		n.say("%s holds %d", a.Name, a.Balance)
	}
	n.say("%d accounts, as of command %d (%v)", len(answer.Value), answer.Index, consistency)
	return nil
}

func parseConsistency(args []string) (mosaik.Consistency, error) {
	switch {
	case len(args) == 0:
		return mosaik.Strong, nil
	case len(args) == 1 && args[0] == mosaik.Weak.String():
		return mosaik.Weak, nil
	}
	return 0, errUsage
}

func (n *node) leader(_ context.Context, args []string) error {
	if len(args) != 0 {
		return errUsage
	}
	leader := n.group.Status().Leader
	if leader.IsZero() {
		n.say("nobody leads")
		return nil
	}
	n.say("%s leads", n.nameOf(leader))
	return nil
}

func (n *node) status(_ context.Context, args []string) error {
	if len(args) != 0 {
		return errUsage
	}
	status := n.group.Status()
	leader, members := status.Leader, status.Members
	n.say("group %s, %d commands applied, %d members", n.group.ID().Short(), n.group.AppliedIndex(), len(members))
	for _, m := range members {
		var is []string
		for _, trait := range []struct {
			so   bool
			word string
		}{
			{m.Peer == leader, "leads"}, {m.Voter, "votes"}, {!m.Voter, "spare"},
			{!m.CaughtUp, "catching up"}, {!m.Bonded, "out of reach"},
		} {
			if trait.so {
				is = append(is, trait.word)
			}
		}
		n.say("  %-40s %s", n.nameOf(m.Peer), strings.Join(is, ", "))
	}
	return nil
}

func (n *node) help(context.Context, []string) error {
	for _, c := range commands() {
		n.say("  %-26s %s", c.name+" "+c.args, c.help)
	}
	return nil
}

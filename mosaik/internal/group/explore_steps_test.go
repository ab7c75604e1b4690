package group

import (
	"fmt"
	"slices"
)

// step is an event that is possible in a world, for a member or an epoch, with respect to another
// member or none.
type step struct {
	what    string // with verbs for the numbers
	numbers [2]int
	args    int
	then    world
}

func (s step) String() string {
	return fmt.Sprintf(s.what, []any{s.numbers[0], s.numbers[1]}[:s.args]...)
}

// explorer finds the possible steps.
type explorer struct {
	policy     Policy
	elects     bool // the machine has no commands
	maxCrashes uint8
	ids        replicaIDs
	cut        int    // histories that were not followed because they exceed the model
	broken     string // the property that a step broke, "" for none
}

func newExplorer(expected int, maxCrashes uint8, elects bool) *explorer {
	return &explorer{
		elects:     elects,
		policy:     Policy{Expected: expected, MinimumVoters: expected/2 + 1, MaximumVoters: 5, Grace: 30e9},
		maxCrashes: maxCrashes,
		ids:        replicaIDs{},
	}
}

// steps returns all possible steps, the faults last.
func (x *explorer) steps(w *world) (steps []step, faults int) {
	try := func(do func(w *world) bool, what string, numbers ...int) {
		if next := *w; do(&next) {
			s := step{what: what, args: len(numbers), then: next}
			copy(s.numbers[:], numbers)
			steps = append(steps, s)
		}
	}
	for e := range int(w.made) {
		try(func(w *world) bool { return x.command(w, e) }, "epoch %d: a command", e)
		try(func(w *world) bool { return w.stepDown(e) }, "epoch %d: its leader steps down", e)
		for p := range modelMembers {
			try(func(w *world) bool { return w.elect(e, p) }, "epoch %d: %d is elected", e, p)
		}
	}
	for p := range modelMembers {
		for q := range modelMembers {
			if p == q {
				continue
			}
			if p < q {
				try(func(w *world) bool { return w.bond(p, q) }, "%d and %d bond", p, q)
			}
			try(func(w *world) bool { return w.hear(p, q) }, "%d receives an announcement of %d", p, q)
			try(func(w *world) bool { return w.unbond(p, q) }, "%d loses its bond with %d", p, q)
			try(func(w *world) bool { return w.miss(p, q) }, "%d has missed %d for longer than the grace", p, q)
			try(func(w *world) bool { return w.probe(p, q) }, "%d probes the addresses of %d in vain", p, q)
		}
		try(func(w *world) bool { return x.apply(w, p) }, "%d applies an entry", p)
		try(func(w *world) bool { return w.catchUp(p) }, "%d catches up", p)
		try(func(w *world) bool { return x.reconcile(w, p) }, "%d changes the membership", p)
		try(func(w *world) bool { return w.removal(p) }, "%d learns that it was removed", p)
		for e := range int(w.made) {
			try(func(w *world) bool { return x.learnEnd(w, p, e) }, "%d learns that epoch %d is over", p, e)
		}
		try(func(w *world) bool { return w.strand(p) }, "%d is stranded", p)
		for _, rank := range x.ranks(w) {
			try(func(w *world) bool { return x.seek(w, p, rank) }, "%d seeks", p)
			try(func(w *world) bool { return x.alone(w, p, rank) }, "%d continues alone", p)
		}
		try(func(w *world) bool { return w.wait(p) }, "the bootstrap delay of %d passes", p)
		try(func(w *world) bool { return x.abandon(w, p) }, "%d gives up its epoch", p)
		try(func(w *world) bool { return w.stall(p) }, "%d misses a leader", p)
		try(func(w *world) bool { return w.start(p) }, "%d starts", p)
	}
	faults = len(steps)
	for p := range modelMembers {
		try(func(w *world) bool { return x.crash(w, p) }, "%d crashes", p)
		try(func(w *world) bool { return x.close(w, p) }, "%d sends goodbye and ends", p)
		try(func(w *world) bool { return w.startAnew(p) }, "%d starts as another peer", p)
	}
	return steps, faults
}

// commit appends an entry, if the member leads and a majority runs.
func (x *explorer) commit(w *world, p int, kind entryKind, r modelEntry) bool {
	e := int(w.members[p].in) - 1
	epoch := &w.epochs[e]
	if epoch.leader != uint8(p+1) || !w.quorum(e) {
		return false
	}
	if epoch.size == modelEntries {
		x.cut++
		return false
	}
	r.kind = kind
	epoch.log[epoch.size] = r
	epoch.size++
	if kind == entryOpen {
		x.opens(w, e)
	}
	return true
}

// opens checks that no other epoch is open, unless its majority is lost for good.
func (x *explorer) opens(w *world, e int) {
	for o := range int(w.made) {
		if all := w.all(o); o != e && all.opened && !all.sealed && !w.gone(o) {
			x.broken = fmt.Sprintf("epochs %d and %d are both open", o, e)
		}
	}
}

func (x *explorer) command(w *world, e int) bool {
	all := w.all(e)
	leader := int(w.epochs[e].leader) - 1
	if x.elects || leader < 0 || !all.opened || all.sealed || all.holdsCommand || !x.commit(w, leader, entryCommand, modelEntry{}) {
		return false
	}
	for p := range w.members {
		if m := &w.members[p]; m.up && m.ended&(1<<e) != 0 {
			x.broken = fmt.Sprintf("a command is applied in epoch %d, of which %d knows the end", e, p)
		}
	}
	return true
}

func (w *world) elect(e, p int) bool {
	if w.epochs[e].leader != 0 || !slices.Contains(w.all(e).voters, w.replica(p)) || !w.runs(e, w.replica(p)) || !w.quorum(e) {
		return false
	}
	w.epochs[e].leader = uint8(p + 1)
	for q := range w.members {
		if m := &w.members[q]; m.in == uint8(e+1) {
			m.stalled = false
		}
	}
	return true
}

// stepDown is Raft's check-quorum.
func (w *world) stepDown(e int) bool {
	if w.epochs[e].leader == 0 || w.quorum(e) {
		return false
	}
	w.epochs[e].leader = 0
	return true
}

func (w *world) bond(p, q int) bool {
	a, b := &w.members[p], &w.members[q]
	if !a.up || !b.up || a.peers[q].bonded || b.peers[p].bonded {
		return false
	}
	a.missing &^= 1 << q
	b.missing &^= 1 << p
	w.listen(p, q)
	w.listen(q, p)
	return true
}

// listen records q's announcement. If p knows that q's epoch is over, it sends a message to q.
func (w *world) listen(p, q int) {
	h := w.says(q)
	w.members[p].peers[q] = h
	if h.in != 0 && w.members[p].ended&(1<<(h.in-1)) != 0 {
		w.members[q].told |= 1 << (h.in - 1)
	}
}

func (w *world) hear(p, q int) bool {
	a, b := &w.members[p], &w.members[q]
	if !a.up || !b.up || !a.peers[q].bonded || a.peers[q].process != b.process || a.peers[q] == w.says(q) {
		return false
	}
	w.listen(p, q)
	return true
}

func (w *world) unbond(p, q int) bool {
	a, b := &w.members[p], &w.members[q]
	if !a.up || !a.peers[q].bonded || b.up && a.peers[q].process == b.process {
		return false
	}
	a.peers[q] = heard{}
	return true
}

func (w *world) miss(p, q int) bool {
	a := &w.members[p]
	if !a.up || a.in == 0 || a.missing&(1<<q) != 0 || a.peers[q].bonded && !w.earlier(p, q) {
		return false
	}
	a.missing |= 1 << q
	return true
}

// endEpoch records that an epoch is over and informs the peers that are in it.
func (x *explorer) endEpoch(w *world, p, e int) {
	if w.all(e).holdsCommand {
		x.broken = fmt.Sprintf("%d ends epoch %d, which holds a command", p, e)
	}
	w.members[p].ended |= 1 << e
	for q, h := range w.members[p].peers {
		if h.bonded && h.in == uint8(e+1) && w.members[q].up && w.members[q].process == h.process {
			w.members[q].told |= 1 << e
		}
	}
}

// exit is [Group.quitEpoch].
func (w *world) exit(p int) {
	m := &w.members[p]
	if epoch := &w.epochs[m.in-1]; epoch.leader == uint8(p+1) {
		epoch.leader = 0
	}
	m.in, m.made, m.applied, m.caughtUp, m.waited, m.stalled = 0, false, 0, false, false, false
	m.byeLast = [modelMembers]uint8{}
	m.life++
}

func (x *explorer) apply(w *world, p int) bool {
	m := &w.members[p]
	if !m.up || m.in == 0 {
		return false
	}
	e := int(m.in) - 1
	all := w.all(e)
	member := slices.Contains(all.voters, w.replica(p)) || slices.Contains(all.nonVoting, w.replica(p))
	if !member || m.applied == w.epochs[e].size {
		return false
	}
	m.applied++
	if w.own(p).sealed {
		x.endEpoch(w, p, e)
		w.exit(p)
	}
	return true
}

func (w *world) catchUp(p int) bool {
	m := &w.members[p]
	if !m.up || m.in == 0 || m.caughtUp {
		return false
	}
	epoch, own := &w.epochs[m.in-1], w.own(p)
	member := slices.Contains(own.voters, w.replica(p)) || slices.Contains(own.nonVoting, w.replica(p))
	if !member || epoch.leader == 0 || m.applied != epoch.size {
		return false
	}
	m.caughtUp = true
	return true
}

// reconcile makes the change that the leader decides on, once it has applied all.
func (x *explorer) reconcile(w *world, p int) bool {
	m := &w.members[p]
	if !m.up || m.in == 0 {
		return false
	}
	epoch := &w.epochs[m.in-1]
	if epoch.leader != uint8(p+1) || m.applied != epoch.size {
		return false
	}
	c := w.reconciler(p, x.policy, x.ids).next()
	replica := func() modelEntry {
		for q := range modelMembers {
			for i := range uint8((modelLives + 2) * modelNames) {
				if r := (modelEntry{member: uint8(q), life: i / modelNames, name: i % modelNames}); x.ids.of(r, w.epochID(m.in)) == c.replica {
					return r
				}
			}
		}
		panic("a change of an unknown replica")
	}
	switch c.kind {
	case changeRemove:
		return x.commit(w, p, entryRemove, replica())
	case changeAdd:
		return x.commit(w, p, entryAdd, replica())
	case changePromote:
		return x.commit(w, p, entryPromote, replica())
	case changeOpen:
		return x.commit(w, p, entryOpen, modelEntry{})
	case changeSeal:
		return x.commit(w, p, entrySeal, modelEntry{})
	}
	return false
}

func (w *world) removal(p int) bool {
	m := &w.members[p]
	if !m.up || m.in == 0 || !slices.Contains(w.all(int(m.in)-1).removed, w.replica(p)) {
		return false
	}
	w.exit(p)
	return true
}

func (x *explorer) learnEnd(w *world, p, e int) bool {
	m := &w.members[p]
	if !m.up || m.told&(1<<e) == 0 {
		return false
	}
	m.told &^= 1 << e
	if m.in != uint8(e+1) {
		m.ended |= 1 << e
		return true
	}
	if w.own(p).holdsCommand {
		return true // it applied more
	}
	x.endEpoch(w, p, e)
	w.exit(p)
	return true
}

// strand is [Group.quitIfStranded].
func (w *world) strand(p int) bool {
	m := &w.members[p]
	if !m.up || m.in == 0 || m.made || m.caughtUp {
		return false
	}
	for _, h := range m.peers {
		if h.bonded && h.in == m.in && h.phase == CaughtUp {
			return false
		}
	}
	w.exit(p)
	return true
}

// ranks returns the places that a new epoch can have in the order of epochs.
func (x *explorer) ranks(w *world) []uint8 {
	if w.made == 0 {
		return []uint8{100}
	}
	low, high := uint8(255), uint8(0)
	for _, e := range w.epochs[:w.made] {
		low, high = min(low, e.rank), max(high, e.rank)
	}
	return []uint8{low - 1, high + 1}
}

func (x *explorer) seek(w *world, p int, rank uint8) bool {
	m := &w.members[p]
	if !m.up || m.in != 0 {
		return false
	}
	decided := w.bootstrapper(p, x.policy).next()
	switch {
	case !decided.join.IsZero():
		for e := range w.made {
			if w.epochID(e+1) == decided.join {
				m.in = e + 1
			}
		}
		return rank == x.ranks(w)[0] // once
	case decided.bootstrap:
		if w.made == modelEpochs || m.life >= modelLives {
			x.cut++
			return false
		}
		w.bootstrap(p, rank, false)
		return true
	}
	return false
}

func (w *world) wait(p int) bool {
	m := &w.members[p]
	if !m.up || m.in != 0 || m.waited {
		return false
	}
	m.waited = true
	return true
}

func (w *world) stall(p int) bool {
	m := &w.members[p]
	if !m.up || m.in == 0 || m.stalled {
		return false
	}
	e := int(m.in) - 1
	all := w.all(e)
	member := slices.Contains(all.voters, w.replica(p)) || slices.Contains(all.nonVoting, w.replica(p))
	if member && w.epochs[e].leader != 0 {
		return false
	}
	m.stalled = true
	return true
}

// abandon is [Group.abandonEpoch]. The member's log holds all entries of the epoch.
func (x *explorer) abandon(w *world, p int) bool {
	m := &w.members[p]
	if !m.up || !m.stalled || m.life >= modelLives {
		return false
	}
	e := int(m.in) - 1
	own, stored := w.own(p), w.epochs[e].read(w.epochs[e].size, w.replica(p))
	member := slices.Contains(stored.voters, w.replica(p)) || slices.Contains(stored.nonVoting, w.replica(p))
	if !member {
		stored = own // it received no entries
	}
	o := abandonment{
		votes:         slices.Contains(own.voters, w.replica(p)),
		opened:        stored.opened,
		commands:      stored.holdsCommand || w.epochs[e].heir && !x.elects,
		indispensable: !stored.dispensable,
	}
	for _, h := range m.peers {
		o.voterSeen = o.voterSeen || h.bonded && h.in == m.in && h.votes
		o.opened = o.opened || h.bonded && h.in == m.in && h.opened && h.phase == CaughtUp
	}
	switch o.decide() {
	case decideQuit:
		w.exit(p)
	case decideDissolve:
		x.endEpoch(w, p, e)
		w.exit(p)
	default:
		return false
	}
	return true
}

func (w *world) start(p int) bool {
	m := &w.members[p]
	if m.up {
		return false
	}
	*m = modelMember{up: true, process: m.process + 1, name: m.name, life: m.life + 1}
	return true
}

// startAnew starts a process with a new identity.
func (w *world) startAnew(p int) bool {
	m := &w.members[p]
	if m.up || m.name+1 == modelNames {
		return false
	}
	*m = modelMember{up: true, process: m.process + 1, name: m.name + 1, life: m.life + 1}
	return true
}

func (x *explorer) crash(w *world, p int) bool {
	m := &w.members[p]
	if !m.up || w.crashes == x.maxCrashes {
		return false
	}
	if m.in != 0 {
		if epoch := &w.epochs[m.in-1]; epoch.leader == uint8(p+1) {
			epoch.leader = 0
		}
	}
	*m = modelMember{process: m.process, name: m.name, life: m.life}
	w.crashes++
	return true
}

// close ends a member that sends goodbye to its bonded peers.
func (x *explorer) close(w *world, p int) bool {
	m := w.members[p]
	if !m.up || m.in == 0 || !x.crash(w, p) {
		return false
	}
	epoch, change := &w.epochs[m.in-1], uint8(0)
	all := epoch.read(epoch.size, modelEntry{})
	r := modelEntry{member: uint8(p), name: m.name, life: m.life}
	if slices.Contains(all.voters, r) || slices.Contains(all.nonVoting, r) {
		change = epoch.lastChange(epoch.size)
	}
	for q := range w.members {
		o := &w.members[q]
		if h := o.peers[p]; q != p && o.up && o.in == m.in && h.bonded && h.process == m.process && h.in == m.in {
			o.byes[p] |= 1 << m.life
			o.byeLast[p] = max(o.byeLast[p], change)
		}
	}
	return true
}

// earlier reports whether the member's epoch has a replica of an identity of q that
// is not bonded.
func (w *world) earlier(p, q int) bool {
	own := w.own(p)
	return slices.ContainsFunc(slices.Concat(own.voters, own.nonVoting), func(r modelEntry) bool {
		return int(r.member) == q && !w.members[p].bondedTo(r)
	})
}

// probe is [Group.probe] of the replicas of q that are voters.
func (w *world) probe(p, q int) bool {
	a, b := &w.members[p], &w.members[q]
	if !a.up || a.in == 0 {
		return false
	}
	was := a.vacant[q]
	for _, r := range w.own(p).voters {
		if int(r.member) == q && !a.bondedTo(r) && (!b.up || b.name != r.name) {
			a.vacant[q] |= 1 << r.life
		}
	}
	return a.vacant[q] != was
}

// bootstrap makes an epoch.
func (w *world) bootstrap(p int, rank uint8, heir bool) {
	m := &w.members[p]
	birth := w.replica(p)
	birth.kind = entryBirth
	w.epochs[w.made] = modelEpoch{rank: rank, size: 1, leader: uint8(p + 1), heir: heir, log: [modelEntries]modelEntry{birth}}
	w.made++
	m.in, m.made = w.made, true
}

// alone is [Group.continueAlone]. The member's log may hold all of the epoch's, or as little
// as it must.
func (x *explorer) alone(w *world, p int, rank uint8) bool {
	m := &w.members[p]
	if !m.up || m.in == 0 {
		return false
	}
	e, sealed := int(m.in)-1, w.own(p).sealed
	may := func(stored uint8) bool {
		g, l := w.survivor(p, stored, x)
		return g.mayContinueAlone(l, func() bool { return sealed })
	}
	size := w.epochs[e].size
	whole := may(size)
	if !whole && x.isLast(w, p) {
		x.broken = fmt.Sprintf("%d does not continue epoch %d, of which it is the last voter", p, e)
	}
	if least := w.leastStored(p); !whole && (least == size || !may(least)) {
		return false
	}
	x.continues(w, p, e)
	if w.made == modelEpochs || m.life >= modelLives {
		x.cut++
		return false
	}
	w.exit(p)
	w.bootstrap(p, rank, true)
	x.endEpoch(w, p, e)
	return true
}

// continues checks that the other members can commit nothing in the epoch that the member
// continues, and that no voter that the member knows runs.
func (x *explorer) continues(w *world, p, e int) {
	if leader := w.epochs[e].leader; leader != 0 {
		x.broken = fmt.Sprintf("%d continues epoch %d alone, which %d leads", p, e, leader-1)
	}
	all, known, others := w.all(e).voters, w.own(p).voters, 0
	if !slices.Contains(known, w.replica(p)) {
		x.broken = fmt.Sprintf("%d continues epoch %d alone and has no vote that it knows of", p, e)
	}
	for _, r := range slices.Concat(all, known) {
		if r == w.replica(p) || !w.runs(e, r) {
			continue
		}
		if slices.Contains(known, r) {
			x.broken = fmt.Sprintf("%d continues epoch %d alone, where %d votes", p, e, r.member)
		}
		others++ // a known voter would have ended the search
	}
	if others > len(all)/2 {
		x.broken = fmt.Sprintf("%d continues epoch %d alone, which has a quorum without it", p, e)
	}
}

// isLast reports whether the member must continue alone: it knows all of its epoch, and has proof
// that all other voters have ended.
func (x *explorer) isLast(w *world, p int) bool {
	m := &w.members[p]
	own := w.own(p)
	if !x.elects || !m.stalled || own.sealed || m.applied != w.epochs[m.in-1].size || !slices.Contains(own.voters, w.replica(p)) {
		return false
	}
	for _, r := range own.voters {
		if r != w.replica(p) && m.byes[r.member]&(1<<r.life) == 0 && !m.superseded(r) {
			return false
		}
	}
	return true
}

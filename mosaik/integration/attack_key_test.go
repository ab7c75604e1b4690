package integration_test

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

func (s *siege) credential() credential { return credential{s.Group, s.Secret} }

// refusedBonds proves the key and presents itself, which is refused for lack of
// a ticket, and begins again as soon as the victim does. Each round costs the
// victim proofs, an announcement and an examination by the validators.
func refusedBonds(ctx context.Context, s *siege) error {
	s.underWay()
	s.each(ctx, func(ctx context.Context, i int) error {
		return asStranger(s.Network, i, func(p *stranger) error {
			c, err := p.call(ctx, s.target(i))
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.introduce(s.Group); err != nil {
				return err
			}
			for ctx.Err() == nil {
				_, err := c.bond(s.credential())
				var refused refusalCode
				switch {
				case err == nil:
					s.fail(errors.New("a bond without a ticket"))
				case errors.As(err, &refused) && consensus.CloseCode(refused) == consensus.CodeTicketRefused:
					s.count("refused")
					continue
				}
				return err
			}
			return nil
		})
	})
	return nil
}

// hugePresentations proves the key again and again on one connection, and each
// time presents itself with as many bytes as it can. Victims keep them until they
// have decided.
func hugePresentations(ctx context.Context, s *siege) error {
	s.underWay()
	s.each(ctx, func(ctx context.Context, i int) error {
		return asStranger(s.Network, i, func(p *stranger) error {
			c, err := p.call(ctx, s.target(i))
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.introduce(s.Group); err != nil {
				return err
			}
			for k := i; ctx.Err() == nil; k++ {
				h, err := c.prove(s.credential())
				if err != nil {
					return err
				}
				if err := c.present(h, make([]byte, frameSizes[k%len(frameSizes)]-40)); err != nil {
					return err
				}
				s.count("presentations")
			}
			return nil
		})
	})
	return nil
}

// proven connects to the i-th victim, does what it takes to be given a connection
// for Raft, and runs do with it: a member makes a bond, a key holder without a
// ticket proves the key and does not present itself.
func (s *siege) proven(ctx context.Context, i int, do func(raft *link.Conn, m replicas) error) error {
	return asStranger(s.Network, i, func(p *stranger) error {
		c, err := p.call(ctx, s.target(i))
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.introduce(s.Group); err != nil {
			return err
		}
		var m replicas
		if s.Who == aMember {
			m, err = c.bond(s.credential())
		} else {
			var h handshake
			if h, err = c.prove(s.credential()); err == nil {
				m, _, err = impersonate(s.Group, c.Peer(), p.id.Peer(), h.hello)
			}
		}
		if err != nil {
			return err
		}
		go c.drain()
		raft, err := p.link.Dial(ctx, s.target(i), c.Peer(), link.Raft)
		if err != nil {
			return err
		}
		defer raft.Close()
		defer context.AfterFunc(ctx, func() { raft.Close() })()
		return do(raft, m)
	})
}

// raftMessages writes batches of well-formed messages to the victim's replica.
// None may be heard: the assailant speaks for no replica.
func raftMessages(ctx context.Context, s *siege) error {
	s.underWay()
	s.each(ctx, func(ctx context.Context, i int) error {
		return s.proven(ctx, i, func(raft *link.Conn, m replicas) error {
			batch := raftBatch(raftMessage(m, heartbeat, 1<<40, 0))
			for ctx.Err() == nil {
				raft.SetWriteDeadline(time.Now().Add(time.Second))
				for range 64 {
					if err := raft.WriteFrame(raftFrame, batch); err != nil {
						return err
					}
				}
				s.count("batches")
			}
			return nil
		})
	})
	return nil
}

// raftBomb writes batches in which every two bytes become a message of 304 bytes
// once they are decoded.
func raftBomb(ctx context.Context, s *siege) error {
	var bombs [][]byte
	for _, size := range append([]int{8 << 20}, frameSizes...) {
		bombs = append(bombs, emptyMessages(size))
	}
	s.underWay()
	s.each(ctx, func(ctx context.Context, i int) error {
		return s.proven(ctx, i, func(raft *link.Conn, _ replicas) error {
			raft.SetWriteDeadline(time.Now().Add(time.Second))
			err := raft.WriteFrame(raftFrame, bombs[int(s.count("bombs"))%len(bombs)])
			if err != nil {
				return err
			}
			_, _, err = raft.ReadFrame(1, nil) // until the victim ends the connection
			return err
		})
	})
	return nil
}

// stalledBatches begins Raft frames of up to 32 MiB, the largest that there are,
// and never ends them.
func stalledBatches(ctx context.Context, s *siege) error {
	sizes := append([]int{32 << 20}, frameSizes...)
	s.each(ctx, func(ctx context.Context, i int) error {
		return s.proven(ctx, i, func(raft *link.Conn, _ replicas) error {
			if err := stall(s, raft, raftFrame, sizes[i%len(sizes)]); err != nil {
				return err
			}
			raft.SetReadDeadline(time.Now().Add(2 * time.Second))
			_, err := raft.Read(make([]byte, 1))
			return err
		})
	})
	return nil
}

// largestTerm sends each victim one heartbeat of the largest term there is. If
// the victim believes it, no term is left in which a leader could be elected.
func largestTerm(ctx context.Context, s *siege) error {
	return toEach(ctx, s, func(m replicas) []byte {
		return raftBatch(raftMessage(m, heartbeat, math.MaxUint64, 0))
	})
}

// lostEntriesOfOldTerm sends each victim a heartbeat of a term that is long
// over, by which the victim acknowledged entries that its log does not have. If
// the victim believes it, it takes its own log for damaged.
func lostEntriesOfOldTerm(ctx context.Context, s *siege) error {
	return toEach(ctx, s, func(m replicas) []byte { return raftBatch(raftMessage(m, heartbeat, 1, 1<<40)) })
}

// lostEntriesOfNoLeader is lostEntriesOfOldTerm in a range of terms, one of which
// is the present one, from a member that does not lead.
func lostEntriesOfNoLeader(ctx context.Context, s *siege) error {
	return toEach(ctx, s, func(m replicas) []byte {
		var messages [][]byte
		for term := range uint64(16) {
			messages = append(messages, raftMessage(m, heartbeat, 1+term, 1<<40))
		}
		return raftBatch(messages...)
	})
}

// toEach makes a bond with each victim, sends a batch to its replica once, and
// stays.
func toEach(ctx context.Context, s *siege, batch func(replicas) []byte) error {
	var running sync.WaitGroup
	for i := range s.Targets {
		running.Go(func() {
			for ctx.Err() == nil {
				err := s.proven(ctx, i, func(raft *link.Conn, m replicas) error {
					if err := raft.WriteFrame(raftFrame, batch(m)); err != nil {
						return err
					}
					if s.count("sent") == int64(len(s.Targets)) {
						s.underWay()
					}
					<-ctx.Done()
					return net.ErrClosed
				})
				if err != nil && ctx.Err() == nil {
					s.count("repelled")
				}
				rest(ctx, 20*time.Millisecond)
			}
		})
	}
	running.Wait()
	return nil
}

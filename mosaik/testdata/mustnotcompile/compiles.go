// The control: everything is right here, so the others fail for the reason that
// they name and for no other.
package program

import (
	"context"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

func run(ctx context.Context, b mosaik.KeyedBuilder) (int64, error) {
	config := consensus.Config{}
	group, err := mosaik.WithStateMachine(b.WithConsensusConfig(config), newLedger).
		WithLogStorage(logstore.NewMemory[LedgerCommand]()).
		WithConsensusConfig(config).
		WithRole(consensus.Role{Reluctance: 3}).
		WithMembership(consensus.Policy{Expected: 3}).
		Join(ctx)
	if err != nil {
		return 0, err
	}
	left, err := mosaik.Execute(ctx, group, Deposit{"alice", 5})
	if err != nil {
		return left.Value, err
	}
	answer, err := mosaik.Query(ctx, group, Balance{"alice"}, mosaik.Strong)
	return answer.Value, err
}

package mosaik

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

// peersFile is the file of known peers in a network's directory.
const peersFile = "peers"

// bondConfig returns the configuration of the bond manager. With a directory it begins
// with the peers that an earlier process knew.
func (n *Network) bondConfig() bond.Config {
	c := bond.Config{
		Link: n.link, Catalog: n.catalog, Seeds: n.opts.seeds, DialFilter: n.opts.dialFilter,
		Mismatch: n.mismatched, Logger: n.log,
	}
	if n.dir == nil {
		return c
	}
	dir, err := filepath.Abs(n.opts.dir)
	if err != nil {
		n.log.Warn("known peers not stored", "error", err)
		return c
	}
	files := logstore.NewFiles(dir)
	if c.KnownPeers, err = readPeers(files, n.id); err != nil {
		n.log.Warn("file of known peers ignored", "file", filepath.Join(dir, peersFile), "error", err)
	}
	c.SaveKnownPeers = func(peers []discovery.KnownPeer) error { return writePeers(files, n.id, peers) }
	return c
}

// readPeers reads the file of known peers. It does not exist before the process has met
// a peer.
func readPeers(files logstore.Files, network sm.Digest) ([]discovery.KnownPeer, error) {
	file, err := files.Open(peersFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, discovery.MaxKnownPeersSize+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return discovery.ParseKnownPeers(content, network)
}

// writePeers replaces the file of known peers.
func writePeers(files logstore.Files, network sm.Digest, peers []discovery.KnownPeer) error {
	err := files.Write(peersFile, func(w io.Writer) error {
		_, err := w.Write(discovery.AppendKnownPeers(nil, network, peers))
		return err
	})
	if err != nil {
		return fmt.Errorf("write the file %s: %w", peersFile, err)
	}
	return nil
}

// advertiseDeparture advertises only the groups that this peer has not left, before the bonds say
// goodbye. Peers forget at once a peer that says goodbye and is in no group.
func (n *Network) advertiseDeparture() {
	n.mu.Lock()
	superseded := n.superseded
	n.mu.Unlock()
	if superseded || n.opts.leaveTimeout == 0 {
		return // another process has the identity, or the network ends like a crash
	}
	n.updateGroups(func(j *joined) bool { return j.core.Durable() })
}

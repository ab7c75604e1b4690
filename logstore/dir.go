package logstore

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
	"github.com/mosaik-go/mosaik/sm"
)

// ErrExposed reports a private key that users other than its owner can read or change.
var ErrExposed = errors.New("logstore: the private key is open to other users")

// The files of a directory.
const (
	dirLock     = "LOCK"
	dirOwner    = "network"
	dirIdentity = "identity.pem"
)

// pemType is the type of PEM block that holds a private key in PKCS #8.
const pemType = "PRIVATE KEY"

// Dir is the directory of a network on this host. It holds the peer's private key, the
// ids of network and peer, and the logs of [Disk]. One process at a time can open it. It
// may move to another path or host, but a copy must never be used beside the original.
type Dir struct {
	path   string
	lock   io.Closer          // held until Close
	key    ed25519.PrivateKey // the peer's
	starts uint64             // how often the directory was opened
	id     [16]byte           // random, not zero
}

// OpenDir opens a directory, which it creates if it does not exist, and locks it until
// [Dir.Close] or the end of the process. A new directory gets the given identity. If
// that is nil, it keeps the one in identity.pem (PKCS #8 in PEM) or, without such a
// file, gets a new one. An existing directory keeps its identity.
//
// The errors are [ErrLocked], [ErrForeign] (the directory belongs to another network or
// peer, or holds other files), [ErrFormat], [ErrCorrupt], [ErrExposed], or those of the
// file system.
func OpenDir(path string, network sm.Digest, identity ed25519.PrivateKey) (*Dir, error) {
	d, err := openDir(path, network, identity)
	if err != nil {
		return nil, fmt.Errorf("logstore: open directory %s: %w", path, err)
	}
	return d, nil
}

func openDir(path string, network sm.Digest, identity ed25519.PrivateKey) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := vfs.MkdirAll(vfs.OS, path); err != nil {
		return nil, err
	}
	if err := checkOurs(path); err != nil {
		return nil, err // before a file is created in it
	}
	lock, err := vfs.OS.Lock(filepath.Join(path, dirLock))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, ErrLocked
	}
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, lock: lock}
	if err := d.claim(network, identity); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

// Identity returns the peer's private key. It must not be changed.
func (d *Dir) Identity() ed25519.PrivateKey { return d.key }

// Starts returns how often the directory was opened, including this time.
func (d *Dir) Starts() uint64 { return d.starts }

// ID returns the directory's id, which is random and not zero. It does not change when
// the directory moves. Copies have the same id.
func (d *Dir) ID() [16]byte { return d.id }

// Close unlocks the directory. The logs in it must be closed before.
func (d *Dir) Close() error {
	if err := d.lock.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("logstore: close directory %s: %w", d.path, err)
	}
	return nil
}

// checkOurs returns an error if the directory has no owner and holds other files.
func checkOurs(path string) error {
	names, err := vfs.OS.List(path)
	if err != nil {
		return err
	}
	stranger := ""
	for _, name := range names {
		switch {
		case name == dirOwner:
			return nil
		case name == dirLock, name == dirIdentity, name == "lost+found",
			strings.HasPrefix(name, dirOwner+".") && strings.HasSuffix(name, ".tmp"),
			strings.HasPrefix(name, dirIdentity+".") && strings.HasSuffix(name, ".tmp"):
		default:
			stranger = name
		}
	}
	if stranger != "" {
		return fmt.Errorf("%w: it holds %s and no file %s; use an empty directory", ErrForeign, stranger, dirOwner)
	}
	return nil
}

// claim checks the owner of the directory, sets it if there is none, and counts the
// start.
func (d *Dir) claim(network sm.Digest, identity ed25519.PrivateKey) error {
	o := owner{network: network}
	content, err := readOwner(filepath.Join(d.path, dirOwner))
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return err
	}
	if !fresh {
		if o, err = parseOwner(content); err != nil {
			return fmt.Errorf("file %s: %w", dirOwner, err)
		}
		if o.network != network {
			return fmt.Errorf("%w: it belongs to network %s, not to %s; use another directory", ErrForeign, o.network.Short(), network.Short())
		}
	}
	if d.key, err = readIdentity(filepath.Join(d.path, dirIdentity)); err != nil {
		return fmt.Errorf("file %s: %w", dirIdentity, err)
	}
	missing := d.key == nil
	switch {
	case missing && identity != nil:
		d.key = identity
	case missing && !fresh:
		return fmt.Errorf("%w: file %s of peer %s is missing; restore it", ErrCorrupt, dirIdentity, o.peer.Short())
	case missing:
		if _, d.key, err = ed25519.GenerateKey(nil); err != nil {
			return fmt.Errorf("generate an identity: %w", err)
		}
	}
	peer := peerOf(d.key)
	switch {
	case identity != nil && peerOf(identity) != peer:
		return fmt.Errorf("%w: it belongs to peer %s, not to %s; use another directory", ErrForeign, peer.Short(), peerOf(identity).Short())
	case !fresh && peer != o.peer:
		return fmt.Errorf("%w: it belongs to peer %s, but its identity is that of %s; restore the identity", ErrForeign, o.peer.Short(), peer.Short())
	}
	if missing {
		if err := writeIdentity(d.path, d.key); err != nil {
			return err
		}
	}
	if err := NewFiles(d.path).RemoveUnfinished(); err != nil {
		return err
	}
	for o.id == [16]byte{} { // a new directory, or one of format 1
		rand.Read(o.id[:]) // never returns an error
	}
	o.peer, o.starts = peer, o.starts+1
	d.starts, d.id = o.starts, o.id
	return NewFiles(d.path).writeBytes(dirOwner, o.marshal())
}

// readOwner returns the content of the owner file, or one byte more than it may have.
func readOwner(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, ownerSize+1))
	return content, errors.Join(err, file.Close())
}

// peerOf returns the id of the peer with a private key.
func peerOf(key ed25519.PrivateKey) sm.PeerID { return sm.PeerID(key.Public().(ed25519.PublicKey)) }

// readIdentity returns the private key in a file, or nil if there is no file.
func readIdentity(name string) (ed25519.PrivateKey, error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// Windows has no such bits; access there is inherited from the directory.
	if open := info.Mode().Perm() & 0o077; open != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%w: its permissions are %04o; make them 0600", ErrExposed, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(file, 1<<16))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("%w: it has no PEM block %q; restore it", ErrCorrupt, pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: it holds a %T, not an ed25519 key", ErrCorrupt, parsed)
	}
	return key, nil
}

func writeIdentity(dir string, key ed25519.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the identity: %w", err)
	}
	return NewFiles(dir).writeBytes(dirIdentity, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))
}

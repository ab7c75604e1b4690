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

// ErrExposed reports a private key that others than its owner may read or change.
var ErrExposed = errors.New("logstore: the private key is open to other users")

// The files of a directory.
const (
	dirLock     = "LOCK"
	dirOwner    = "network"
	dirIdentity = "identity.pem"
)

// pemType is the type of PEM block that holds a private key in PKCS #8.
const pemType = "PRIVATE KEY"

// Dir is the directory of a network on this machine: the peer's private key,
// whose directory it is, and what [Disk] keeps in it. It belongs to one process
// at a time. It may move, and so may the machine's name and addresses change;
// a copy must never be used beside the original.
type Dir struct {
	path   string
	lock   io.Closer
	key    ed25519.PrivateKey
	starts uint64
	id     [16]byte
}

// OpenDir opens a directory, made if need be, and locks it until [Dir.Close] or
// the end of the process. A new one takes the identity that is given or, when
// that is nil, the one that lies in identity.pem (PKCS #8 in PEM), or else draws
// one. An old one keeps its identity.
//
// The errors are [ErrLocked], [ErrForeign] (another network's directory, another
// peer's, or one that holds something else), [ErrFormat], [ErrCorrupt],
// [ErrExposed], or the file system's.
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
		return nil, err // before anything is left in it
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

// Starts returns how often the directory was opened, this time included.
func (d *Dir) Starts() uint64 { return d.starts }

// ID returns the directory's name, random and not zero. It stays when the
// directory moves, and copies share it.
func (d *Dir) ID() [16]byte { return d.id }

// Close gives the directory back. Close the logs in it first.
func (d *Dir) Close() error {
	if err := d.lock.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("logstore: close directory %s: %w", d.path, err)
	}
	return nil
}

// checkOurs reports a directory without the file of its owner that holds what is not ours.
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
		return fmt.Errorf("%w: it holds %s, and no file %s; name an empty directory", ErrForeign, stranger, dirOwner)
	}
	return nil
}

// claim reads whose the directory is, makes it this network's if it is nobody's,
// and counts the start.
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
			return fmt.Errorf("%w: it is of network %s, not of %s", ErrForeign, o.network.Short(), network.Short())
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
		return fmt.Errorf("%w: file %s of peer %s is missing; put it back", ErrCorrupt, dirIdentity, o.peer.Short())
	case missing:
		if _, d.key, err = ed25519.GenerateKey(nil); err != nil {
			return fmt.Errorf("draw an identity: %w", err)
		}
	}
	peer := peerOf(d.key)
	switch {
	case identity != nil && peerOf(identity) != peer:
		return fmt.Errorf("%w: it is of peer %s, not of %s", ErrForeign, peer.Short(), peerOf(identity).Short())
	case !fresh && peer != o.peer:
		return fmt.Errorf("%w: it is of peer %s, and the identity is that of %s", ErrForeign, o.peer.Short(), peer.Short())
	}
	if missing {
		if err := writeIdentity(d.path, d.key); err != nil {
			return err
		}
	}
	if err := FilesIn(d.path).RemoveUnfinished(); err != nil {
		return err
	}
	for o.id == [16]byte{} { // a new directory, or one of format 1
		rand.Read(o.id[:]) // never fails: crypto/rand ends the process instead
	}
	o.peer, o.starts = peer, o.starts+1
	d.starts, d.id = o.starts, o.id
	return FilesIn(d.path).writeBytes(dirOwner, o.marshal())
}

// readOwner returns what the file of a directory's owner holds, and no more of it
// than shows that it is too long.
func readOwner(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, ownerSize+1))
	return content, errors.Join(err, file.Close())
}

func peerOf(key ed25519.PrivateKey) sm.PeerID { return sm.PeerID(key.Public().(ed25519.PublicKey)) }

// readIdentity returns the private key of a file, nil if there is no file.
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
	// Windows has no such bits: access there is inherited from the directory.
	if open := info.Mode().Perm() & 0o077; open != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%w: its permissions are %04o; make them 0600", ErrExposed, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(file, 1<<16))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("%w: it holds no PEM block %q", ErrCorrupt, pemType)
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
	return FilesIn(dir).writeBytes(dirIdentity, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))
}

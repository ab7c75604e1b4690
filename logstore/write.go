package logstore

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
)

// WriteFile replaces a file of a directory, made if need be, whole or not at
// all, so that it survives a power cut. Only the file's owner may read it. What
// an interrupted call leaves is named like the file, with .tmp at the end.
func WriteFile(dir, name string, content []byte) (err error) {
	if err := vfs.OS.MkdirAll(dir); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, name+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // gone by then, unless something failed
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return vfs.OS.SyncDir(dir)
}

package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// newSeal makes the cipher for secrets at rest: AES-256-GCM with a random
// nonce in front.
func newSeal(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, errors.New("the file key must have 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealed encrypts a secret for the row of that id; "" stays empty.
func (db *DB) sealed(secret, id string) []byte {
	if secret == "" {
		return []byte{}
	}
	return db.seal.Seal(nil, nil, []byte(secret), []byte(id))
}

func (db *DB) unsealed(box []byte, id string) (string, error) {
	if len(box) == 0 {
		return "", nil
	}
	secret, err := db.seal.Open(nil, nil, box, []byte(id))
	if err != nil {
		return "", fmt.Errorf("unseal the secret of %s: was the data folder's file key replaced? %w", id, err)
	}
	return string(secret), nil
}

// NewFileKey returns a key for Config.FileKey.
func NewFileKey() []byte {
	key := make([]byte, 32)
	rand.Read(key) // never fails (Go 1.24)
	return key
}
